"""The models of authentication."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, REQUIRED, Bounds, Int64, Model, Time
from api.kinds.meta import Kind


class BoundObjectReference(Model):
    """A reference: Bound Object."""

    apiVersion: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class UserInfo(Model):
    """User Info."""

    extra: dict[str, list[str]] | None = None
    groups: Annotated[list[str] | None, ATOMIC] = None
    uid: str | None = None
    username: str | None = None


class SelfSubjectReviewStatus(Model):
    """What has been observed of a Self Subject Review."""

    userInfo: UserInfo | None = None


class SelfSubjectReview(Kind):
    """Self Subject Review."""

    status: SelfSubjectReviewStatus = Field(default_factory=SelfSubjectReviewStatus)


class TokenRequestSpec(Model):
    """What is wanted of a Token Request."""

    audiences: Annotated[list[str] | None, ATOMIC] = None
    boundObjectRef: BoundObjectReference | None = None
    expirationSeconds: Annotated[Int64, Bounds(600, 4294967296)] = 3600


class TokenRequestStatus(Model):
    """What has been observed of a Token Request."""

    expirationTimestamp: Time | None = None
    token: str | None = None


class TokenRequest(Kind):
    """Token Request."""

    spec: TokenRequestSpec = Field(default_factory=TokenRequestSpec)
    status: TokenRequestStatus = Field(default_factory=TokenRequestStatus)


class TokenReviewSpec(Model):
    """What is wanted of a Token Review."""

    audiences: Annotated[list[str] | None, ATOMIC] = None
    token: Annotated[str | None, REQUIRED] = None


class TokenReviewStatus(Model):
    """What has been observed of a Token Review."""

    audiences: Annotated[list[str] | None, ATOMIC] = None
    authenticated: bool | None = None
    error: str | None = None
    user: UserInfo | None = None


class TokenReview(Kind):
    """Token Review."""

    spec: Annotated[TokenReviewSpec, REQUIRED] = Field(default_factory=TokenReviewSpec)
    status: TokenReviewStatus = Field(default_factory=TokenReviewStatus)
