"""Bootstrap tokens: Secrets of type bootstrap.kubernetes.io/token in kube-system that let a machine join.

Source: Kubernetes, "Authenticating with Bootstrap Tokens". A token reads `id.secret`: 6 and 16 of a-z0-9.
"""

import hmac
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from api.resources import SECRETS
from apiserver.auth.lookup import Lookup
from apiserver.auth.secrets import field
from apiserver.auth.user import BOOTSTRAP_PREFIX, BOOTSTRAPPERS, User, with_authenticated

NAMESPACE = "kube-system"
SECRET_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 the type of a Secret, no secret
NAME_PREFIX = "bootstrap-token-"
_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokens:
    """Authenticates bootstrap tokens from the Secrets in the cache."""

    def __init__(self, lookup: Lookup, now: Callable[[], float] = time.time) -> None:
        self._lookup = lookup
        self._now = now

    def authenticate(self, token: str) -> User | None:
        """Return the user of a valid token; None for anything else, without saying which part was wrong."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return None
        token_id, token_secret = parts.groups()
        secret = self._lookup.get(SECRETS, NAMESPACE, f"{NAME_PREFIX}{token_id}")
        if secret is None or secret.get("type") != SECRET_TYPE or secret["metadata"].get("deletionTimestamp"):
            return None
        if field(secret, "token-id") != token_id or not hmac.compare_digest(
            field(secret, "token-secret"), token_secret
        ):
            return None
        if self._expired(field(secret, "expiration")) or field(secret, "usage-bootstrap-authentication") != "true":
            return None
        groups = [BOOTSTRAPPERS]
        extra = [group.strip() for group in field(secret, "auth-extra-groups").split(",") if group.strip()]
        if not all(_GROUP.fullmatch(group) for group in extra):
            return None
        return User(f"{BOOTSTRAP_PREFIX}{token_id}", groups=with_authenticated(groups + sorted(set(extra))))

    def _expired(self, expiration: str) -> bool:
        if not expiration:
            return False
        try:
            moment = datetime.fromisoformat(expiration)
        except ValueError:
            return True
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() <= self._now()
