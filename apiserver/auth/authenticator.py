"""Authentication: one question answered by certificates, static tokens, bootstrap tokens and ServiceAccount tokens in turn.

Answers for bearer tokens are kept for a short time, so that a hot client costs one dictionary look-up per request.
"""

import base64
import binascii
import time
from collections.abc import Callable, Sequence

from api.errors import Unauthorized
from apiserver.auth.bootstrap_tokens import BootstrapTokens
from apiserver.auth.certificates import CertificateAuthenticator
from apiserver.auth.jwt_tokens import BadToken, TokenVerifier, Verified
from apiserver.auth.token_file import TokenFile
from apiserver.auth.user import ANONYMOUS_USER, User

TOKEN_TTL = 10.0
"""Seconds a verified token is believed without looking again (as kube-apiserver)."""
TOKEN_CACHE_MAX = 4096
WEBSOCKET_BEARER = "base64url.bearer.authorization.k8s.io."


class InvalidToken(ValueError):
    """A bearer token that nobody vouches for; the message says why and is for TokenReview and logs alone."""


class Authenticator:
    """Finds out who calls. Never waits; everything is answered from memory."""

    def __init__(
        self,
        *,
        tokens: TokenVerifier | None = None,
        bootstrap: BootstrapTokens | None = None,
        static: TokenFile | None = None,
        anonymous: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._certificates = CertificateAuthenticator(now)
        self._tokens, self._bootstrap, self._static = tokens, bootstrap, static
        self._anonymous = anonymous
        self._now = now
        self._cache: dict[tuple[str, tuple[str, ...]], tuple[Verified, float]] = {}

    def authenticate(self, certificate: bytes | None, authorization: str, protocols: str = "") -> User:
        """Return the caller.

        `certificate` is the DER of the verified client certificate, `authorization` the header's value, `protocols` the
        Sec-WebSocket-Protocol header, by which browsers hand over a token. Raises Unauthorized for credentials that do
        not hold; a caller without any is system:anonymous.
        """
        if certificate and (user := self._certificates.authenticate(certificate)):
            return user
        token = bearer_token(authorization) or (websocket_token(protocols) if protocols else "")
        if token:
            try:
                return self.authenticate_token(token).user
            except InvalidToken as error:
                raise Unauthorized from error
        if not self._anonymous:
            raise Unauthorized
        return ANONYMOUS_USER

    def authenticate_token(self, token: str, audiences: Sequence[str] = ()) -> Verified:
        """Return the verified token; InvalidToken when nobody knows it or it does not hold (TokenReview asks here too)."""
        key = (token, tuple(audiences))
        now = self._now()
        known = self._cache.get(key)
        if known and known[1] > now:
            return known[0]
        verified = self._verify(token, audiences)
        if len(self._cache) >= TOKEN_CACHE_MAX:
            self._cache.clear()
        ends = now + TOKEN_TTL
        self._cache[key] = (verified, min(ends, verified.expires) if verified.expires else ends)
        return verified

    def forget(self) -> None:
        """Look at every token again: the keys are others now."""
        self._cache.clear()

    def _verify(self, token: str, audiences: Sequence[str]) -> Verified:
        user = (self._static and self._static.authenticate(token)) or (
            self._bootstrap and self._bootstrap.authenticate(token)
        )
        if user:
            return Verified(user, tuple(audiences), 0.0)
        try:
            verified = self._tokens.verify(token, audiences) if self._tokens else None
        except BadToken as error:
            raise InvalidToken(f"[invalid bearer token, {error}]") from error
        if verified is None:
            raise InvalidToken("invalid bearer token")
        return verified


def bearer_token(authorization: str) -> str:
    """Return the token of an `Authorization: Bearer x` header, else ""."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def websocket_token(protocols: str) -> str:
    """Return the token that a browser sent as a WebSocket subprotocol, else ""."""
    for protocol in protocols.split(","):
        if protocol.strip().startswith(WEBSOCKET_BEARER):
            encoded = protocol.strip()[len(WEBSOCKET_BEARER) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
    return ""
