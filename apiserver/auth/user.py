"""The identity of a caller, and the names that Kubernetes reserves for identities."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ANONYMOUS = "system:anonymous"
UNAUTHENTICATED = "system:unauthenticated"
AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"
BOOTSTRAPPERS = "system:bootstrappers"
BOOTSTRAP_PREFIX = "system:bootstrap:"
SERVICE_ACCOUNTS = "system:serviceaccounts"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
NODE_NAME = "authentication.kubernetes.io/node-name"
NODE_UID = "authentication.kubernetes.io/node-uid"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


@dataclass(frozen=True, slots=True)
class User:
    """A caller: its name, stable id, groups and the extra facts its authenticator vouches for.

    Equality and hash leave `extra` out of account: authorization by name and groups is what caches are keyed by.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def as_object(self) -> dict[str, object]:
        """Return the UserInfo of authentication.k8s.io/v1, without empty members."""
        info: dict[str, object] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


ANONYMOUS_USER = User(ANONYMOUS, groups=(UNAUTHENTICATED,))


def with_authenticated(groups: Iterable[str]) -> tuple[str, ...]:
    """Return the groups with system:authenticated at the end, once."""
    return (*(group for group in groups if group != AUTHENTICATED), AUTHENTICATED)


def service_account_name(namespace: str, name: str) -> str:
    """Return the user name of a ServiceAccount."""
    return f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def split_service_account(username: str) -> tuple[str, str] | None:
    """Return (namespace, name) of a ServiceAccount's user name; None for any other user."""
    if not username.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, colon, name = username[len(SERVICE_ACCOUNT_PREFIX) :].partition(":")
    return (namespace, name) if namespace and colon and name and ":" not in name else None


def service_account_groups(namespace: str) -> tuple[str, ...]:
    """Return the groups every ServiceAccount of a namespace belongs to."""
    return SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}"


def node_of(user: User) -> str | None:
    """Return the node's name when the user is a kubelet (system:node:NAME in group system:nodes), else None."""
    if user.name.startswith(NODE_PREFIX) and NODES in user.groups:
        return user.name[len(NODE_PREFIX) :]
    return None
