"""Kinds of the group authentication.k8s.io: tokens and who one is."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, REQUIRED, Bounds, Int64, Model, Time
from api.kinds.meta import Kind


class BoundObjectReference(Model):
    """The object with whose life a token ends."""

    apiVersion: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class UserInfo(Model):
    """Who somebody is."""

    extra: dict[str, list[str]] | None = None
    groups: Annotated[list[str] | None, ATOMIC] = None
    uid: str | None = None
    username: str | None = None


class SelfSubjectReviewStatus(Model):
    """Who the server takes the caller for."""

    userInfo: UserInfo | None = None


class SelfSubjectReview(Kind):
    """Asks the server who one is."""

    status: SelfSubjectReviewStatus = Field(default_factory=SelfSubjectReviewStatus)


class TokenRequestSpec(Model):
    """For whom, for how long and bound to what a token is wanted."""

    audiences: Annotated[list[str] | None, ATOMIC] = None
    boundObjectRef: BoundObjectReference | None = None
    expirationSeconds: Annotated[Int64, Bounds(600, 4294967296)] = 3600


class TokenRequestStatus(Model):
    """The token, and when it expires."""

    expirationTimestamp: Time | None = None
    token: str | None = None


class TokenRequest(Kind):
    """Asks for a token of a service account."""

    spec: TokenRequestSpec = Field(default_factory=TokenRequestSpec)
    status: TokenRequestStatus = Field(default_factory=TokenRequestStatus)


class TokenReviewSpec(Model):
    """The token in question."""

    audiences: Annotated[list[str] | None, ATOMIC] = None
    token: Annotated[str | None, REQUIRED] = None


class TokenReviewStatus(Model):
    """Whether the token is good, and whose it is."""

    audiences: Annotated[list[str] | None, ATOMIC] = None
    authenticated: bool | None = None
    error: str | None = None
    user: UserInfo | None = None


class TokenReview(Kind):
    """Asks whose a token is."""

    spec: Annotated[TokenReviewSpec, REQUIRED] = Field(default_factory=TokenReviewSpec)
    status: TokenReviewStatus = Field(default_factory=TokenReviewStatus)
