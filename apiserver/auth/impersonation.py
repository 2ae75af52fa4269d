"""Impersonation: a caller that may, acts as someone else. Source: Kubernetes, "User impersonation".

Headers: Impersonate-User, Impersonate-Group (repeated), Impersonate-Uid, Impersonate-Extra-KEY (repeated).
"""

from collections.abc import Iterable
from urllib.parse import unquote

from api.errors import BadRequest
from apiserver.auth import user as users
from apiserver.auth.attributes import Attributes, Authorizer, forbidden
from apiserver.auth.user import User

USER, GROUP, UID, EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
AUTHENTICATION = "authentication.k8s.io"


def impersonated(caller: User, headers: Iterable[tuple[bytes, bytes]], authorizer: Authorizer) -> User | None:
    """Return the user whom the caller acts as; None when the headers ask for nobody.

    `headers` are ASGI's (lower-case name, value) pairs. Raises Forbidden when the caller may not impersonate every part
    asked for, BadRequest when parts are asked for without a user.
    """
    name, uid, asked = "", "", False
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    for raw_key, raw_value in headers:
        if not raw_key.startswith(b"impersonate-"):
            continue
        asked = True
        key, value = raw_key.decode("latin-1"), raw_value.decode("utf-8", "replace")
        if key == USER:
            name = value
        elif key == GROUP:
            groups.append(value)
        elif key == UID:
            uid = value
        elif key.startswith(EXTRA):
            extra.setdefault(unquote(key[len(EXTRA) :]), []).append(value)
    if not asked:
        return None
    if not name:
        raise BadRequest("requested impersonation without impersonating a user")
    for question in _questions(caller, name, groups, uid, extra):
        decision = authorizer.authorize(question)
        if not decision.allowed:
            raise forbidden(question, decision.reason)
    return User(name, uid, _groups(name, groups), {key: tuple(values) for key, values in extra.items()})


def _questions(
    caller: User, name: str, groups: list[str], uid: str, extra: dict[str, list[str]]
) -> Iterable[Attributes]:
    verb = "impersonate"
    if account := users.split_service_account(name):
        yield Attributes(caller, verb, version="v1", resource="serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes(caller, verb, version="v1", resource="users", name=name)
    for group in groups:
        yield Attributes(caller, verb, version="v1", resource="groups", name=group)
    if uid:
        yield Attributes(caller, verb, group=AUTHENTICATION, version="v1", resource="uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield Attributes(
                caller, verb, group=AUTHENTICATION, version="v1", resource="userextras", subresource=key, name=value
            )


def _groups(name: str, asked: list[str]) -> tuple[str, ...]:
    """Add the groups the system gives: a ServiceAccount's own when none are named, and authenticated or not."""
    account = users.split_service_account(name)
    groups = list(asked) or (list(users.service_account_groups(account[0])) if account else [])
    closing = users.UNAUTHENTICATED if name == users.ANONYMOUS else users.AUTHENTICATED
    if closing not in groups and users.UNAUTHENTICATED not in groups:
        groups.append(closing)
    return tuple(groups)
