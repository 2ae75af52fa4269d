"""The keys of ServiceAccount tokens and all that follows from them, read again when their files change."""

from __future__ import annotations

from collections.abc import Callable

from apiserver.auth.jwt_tokens import TokenIssuer, TokenVerifier
from apiserver.auth.keys import load_public_keys, load_signing_key
from apiserver.auth.lookup import Lookup
from apiserver.options import Options
from apiserver.reviews import discovery


class TokenKeys:
    """Who verifies tokens, who issues them, and the documents that tell others how to verify. `load` brings in new keys.

    `verifier` and `issuer` are None without key files; they and `documents` stay the same objects for ever.
    """

    def __init__(self, options: Options, audiences: tuple[str, ...], lookup: Lookup) -> None:
        self._issuer = options.service_account_issuer
        self._signing = options.service_account_signing_key_file
        self._public = options.service_account_key_file or ((self._signing,) if self._signing else ())
        self.paths = dict.fromkeys((*self._public, *((self._signing,) if self._signing else ())))
        self.verifier = TokenVerifier([self._issuer], (), audiences, lookup) if self._public else None
        self.issuer: TokenIssuer | None = None
        self.documents: dict[str, bytes] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called after other keys have been loaded."""
        self.load()

    def load(self) -> None:
        """Use what the files hold now. Raises BadKey or OSError, and then everything stays as it was."""
        keys = load_public_keys(self._public) if self._public else []
        signing = load_signing_key(self._signing) if self._signing else None
        if self.verifier:
            self.verifier.use(keys)
            self.documents.update(discovery(self._issuer, keys))
        if signing and self.issuer:
            self.issuer.key = signing
        elif signing:
            self.issuer = TokenIssuer(self._issuer, signing)
        self.changed()
