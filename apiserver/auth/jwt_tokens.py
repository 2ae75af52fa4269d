"""ServiceAccount tokens: issue them, and verify them against the keys and the objects they are bound to.

Claims are those of KEP-1205 (bound tokens) and, for tokens kept in Secrets, the legacy private claims.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from api import timestamp
from api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS
from api.types import Object
from apiserver.auth import secrets
from apiserver.auth import user as users
from apiserver.auth.keys import SigningKey, VerifyKey
from apiserver.auth.lookup import Lookup
from apiserver.auth.user import User

LEGACY_ISSUER = "kubernetes/serviceaccount"
PRIVATE = "kubernetes.io"
LEEWAY = 10
"""Seconds of clock difference tolerated between the signer and us."""
DELETED_LEEWAY = timedelta(seconds=60)
"""A deleted object still vouches for its token so long past its deletion time (as kube-apiserver)."""
SHORT_LIVED, EXTENDED = 3607, 365 * 24 * 3600
"""A pod's token asked for with 3607 s is really valid for a year, so that clients which never reload it keep working."""


class BadToken(ValueError):
    """A token that is ours but does not hold: expired, wrong audience, or bound to an object that is gone."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The object a token lives and dies with: kind "Pod", "Secret" or "Node"."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a verification: who it is, for which audiences, until when (Unix seconds, 0 for ever)."""

    user: User
    audiences: tuple[str, ...]
    expires: float


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom a token is issued, and what it is bound to; node of the pod is kept beside it."""

    namespace: str
    name: str
    uid: str
    bound: Bound | None = None
    node: Bound | None = None


class TokenIssuer:
    """Signs tokens with the server's private key."""

    def __init__(self, issuer: str, key: SigningKey, now: Callable[[], float] = time.time) -> None:
        self.issuer = issuer
        self.key = key
        self._now = now

    def issue(
        self, subject: Subject, audiences: Sequence[str], seconds: int, *, extend: bool = False
    ) -> tuple[str, int]:
        """Return (token, Unix time at which its caller should take it as expired).

        `extend` gives a token asked for with 3607 s a year of life and notes when a client should have renewed it.
        """
        now = int(self._now())
        private: dict[str, Any] = {
            "namespace": subject.namespace,
            "serviceaccount": {"name": subject.name, "uid": subject.uid},
        }
        for ref in (subject.bound, subject.node):
            if ref:
                private[ref.kind.lower()] = {"name": ref.name, "uid": ref.uid}
        life = seconds
        if extend and seconds == SHORT_LIVED:
            life = EXTENDED
            private["warnafter"] = now + seconds
        claims = {
            "aud": list(audiences),
            "exp": now + life,
            "iat": now,
            "nbf": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            PRIVATE: private,
            "sub": users.service_account_name(subject.namespace, subject.name),
        }
        headers = {"kid": self.key.key_id}
        return jwt.encode(claims, self.key.key, algorithm=self.key.algorithm, headers=headers), now + seconds


class TokenVerifier:
    """Verifies ServiceAccount tokens of the given issuers.

    `verify` returns None for a token that is not ours (another authenticator may know it) and raises BadToken for one
    that is ours and does not hold.
    """

    def __init__(
        self,
        issuers: Sequence[str],
        keys: Sequence[VerifyKey],
        audiences: Sequence[str],
        lookup: Lookup,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = frozenset(issuers) | {LEGACY_ISSUER}
        self.use(keys)
        self._audiences = tuple(audiences)
        self._lookup = lookup
        self._now = now

    def use(self, keys: Sequence[VerifyKey]) -> None:
        """Verify with these keys from now on."""
        self._keys = {key.key_id: key for key in keys}

    def verify(self, token: str, audiences: Sequence[str] = ()) -> Verified | None:
        """Return who the token stands for, with the audiences it and the caller share (default: the server's)."""
        if not self._is_ours(token):
            return None
        claims = self._signed_claims(token)
        if claims["iss"] == LEGACY_ISSUER:
            return self._legacy(token, claims, audiences)
        self._check_times(claims)
        wanted = audiences or self._audiences
        given = claims.get("aud")
        given = [given] if isinstance(given, str) else list(given or ())
        shared = tuple(audience for audience in given if audience in wanted)
        if not shared:
            raise BadToken(f"token audiences {given} is invalid for the target audiences {list(wanted)}")
        return Verified(self._bound_user(claims), shared, float(claims.get("exp", 0)))

    def _is_ours(self, token: str) -> bool:
        if token.count(".") != 2:
            return False
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return False
        return claims.get("iss") in self._issuers

    def _signed_claims(self, token: str) -> dict[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        candidates = [self._keys[key_id]] if key_id in self._keys else list(self._keys.values())
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        for key in candidates:
            try:
                return dict(jwt.decode(token, key.key, algorithms=[key.algorithm], options=options))
            except jwt.PyJWTError:
                continue
        raise BadToken("no key of this server has signed the token")

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._now()
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or now > expires + LEEWAY:
            raise BadToken("service account token has expired")
        if now + LEEWAY < float(claims.get("nbf") or 0):
            raise BadToken("service account token is not valid yet")

    def _bound_user(self, claims: dict[str, Any]) -> User:
        private = claims.get(PRIVATE) or {}
        namespace = str(private.get("namespace", ""))
        account = private.get("serviceaccount") or {}
        name = str(account.get("name", ""))
        if claims.get("sub") != users.service_account_name(namespace, name):
            raise BadToken("service account token has an inconsistent subject")
        self._alive(self._lookup.get(SERVICEACCOUNTS, namespace, name), account.get("uid"), "service account", name)
        extra: dict[str, tuple[str, ...]] = (
            {users.CREDENTIAL_ID: (f"JTI={claims['jti']}",)} if claims.get("jti") else {}
        )
        if secret := private.get("secret"):
            self._alive(
                self._lookup.get(SECRETS, namespace, secret["name"]), secret.get("uid"), "secret", secret["name"]
            )
        if pod := private.get("pod"):
            self._alive(self._lookup.get(PODS, namespace, pod["name"]), pod.get("uid"), "pod", pod["name"])
            extra |= {users.POD_NAME: (pod["name"],), users.POD_UID: (pod["uid"],)}
        if node := private.get("node"):
            if not private.get("pod"):
                self._alive(self._lookup.get(NODES, "", node["name"]), node.get("uid"), "node", node["name"])
            extra |= {users.NODE_NAME: (node["name"],), users.NODE_UID: (node.get("uid", ""),)}
        return _user(namespace, name, str(account.get("uid", "")), extra)

    def _alive(self, obj: Object | None, uid: object, what: str, name: str) -> None:
        if obj is None:
            raise BadToken(f"{what} {name} is gone")
        meta = obj["metadata"]
        if uid and meta.get("uid") != uid:
            raise BadToken(f"{what} {name} is another one than the token is bound to")
        if deleted := meta.get("deletionTimestamp"):
            limit = timestamp.parse(deleted) + DELETED_LEEWAY
            if self._now() > limit.timestamp():
                raise BadToken(f"{what} {name} has been deleted")

    def _legacy(self, token: str, claims: dict[str, Any], audiences: Sequence[str]) -> Verified:
        prefix = "kubernetes.io/serviceaccount/"
        namespace, name = (
            str(claims.get(f"{prefix}namespace", "")),
            str(claims.get(f"{prefix}service-account.name", "")),
        )
        uid, secret_name = (
            str(claims.get(f"{prefix}service-account.uid", "")),
            str(claims.get(f"{prefix}secret.name", "")),
        )
        if claims.get("sub") != users.service_account_name(namespace, name) or not (uid and secret_name):
            raise BadToken("legacy service account token has inconsistent claims")
        wanted = tuple(audiences) or self._audiences
        if not set(wanted) & set(self._audiences):
            raise BadToken("legacy service account tokens are for the API server alone")
        secret = self._lookup.get(SECRETS, namespace, secret_name)
        if secret is None or secrets.field(secret, "token") != token:
            raise BadToken("service account token has been invalidated")
        self._alive(secret, None, "secret", secret_name)
        self._alive(self._lookup.get(SERVICEACCOUNTS, namespace, name), uid, "service account", name)
        return Verified(_user(namespace, name, uid, {}), tuple(a for a in wanted if a in self._audiences), 0.0)


def _user(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]]) -> User:
    groups = users.with_authenticated(users.service_account_groups(namespace))
    return User(users.service_account_name(namespace, name), uid, groups, extra)
