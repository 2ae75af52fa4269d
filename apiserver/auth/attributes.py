"""What a request wants to do, in the terms that authorizers decide by."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from api.errors import Forbidden
from apiserver.auth.user import User


@dataclass(frozen=True, slots=True)
class Attributes:
    """One question to the authorizers. `path` is set for requests that are not about a resource.

    For list, watch and deletecollection with a field selector `metadata.name=x`, `name` is x.
    """

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""

    @property
    def is_resource(self) -> bool:
        """Tell whether the request is about a resource rather than a path such as /healthz."""
        return bool(self.resource)

    @property
    def full_resource(self) -> str:
        """Return `resource` or `resource/subresource`, the form in which rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def with_verb(self, verb: str) -> "Attributes":
        """Return the same question with another verb."""
        return replace(self, verb=verb)


class Verdict(Enum):
    """An authorizer's answer; NO_OPINION lets the next authorizer decide."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the reason that audit logs, reviews and Forbidden messages show."""

    verdict: Verdict
    reason: str = ""

    @property
    def allowed(self) -> bool:
        """Tell whether the request may go on."""
        return self.verdict is Verdict.ALLOW


NO_OPINION = Decision(Verdict.NO_OPINION)


class Authorizer(Protocol):
    """Decides one question from memory; never waits."""

    def authorize(self, attributes: Attributes) -> Decision:
        """Return the decision for these attributes."""
        ...


def forbidden_message(attributes: Attributes, reason: str = "") -> str:
    """Return the sentence kube-apiserver gives, e.g. `User "x" cannot list resource "pods" in API group "" ...`."""
    user, verb = attributes.user.name, attributes.verb
    if not attributes.is_resource:
        message = f'User "{user}" cannot {verb} path "{attributes.path}"'
    else:
        where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
        message = f'User "{user}" cannot {verb} resource "{attributes.full_resource}" in API group "{attributes.group}" {where}'
    return f"{message}: {reason}" if reason else message


def forbidden(attributes: Attributes, reason: str = "") -> Forbidden:
    """Return the Forbidden error of a denied request, worded and detailed as kube-apiserver does."""
    return forbidden_resource(
        attributes.group, attributes.resource, attributes.name, forbidden_message(attributes, reason)
    )


def forbidden_resource(group: str, resource: str, name: str, why: str) -> Forbidden:
    """Return a Forbidden error about a resource: `pods "x" is forbidden: why`."""
    if not resource:
        return Forbidden(f"forbidden: {why}", details={})
    qualified = f"{resource}.{group}" if group else resource
    details = {"kind": resource}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    subject = f'{qualified} "{name}"' if name else qualified
    return Forbidden(f"{subject} is forbidden: {why}", details=details)
