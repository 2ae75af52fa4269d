"""Kinds of the group apiregistration.k8s.io: paths that another server serves."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, Base64, Int32, MergeKey, Model, Time
from api.kinds.meta import Kind


class ServiceReference(Model):
    """The Service that serves a group's version."""

    name: str | None = None
    namespace: str | None = None
    port: Int32 = 443


class APIServiceSpec(Model):
    """The group and version to be served, by whom, and its place in discovery."""

    caBundle: Annotated[Base64 | None, ATOMIC] = None
    group: str | None = None
    groupPriorityMinimum: Annotated[Int32, LISTED] = 0
    insecureSkipTLSVerify: bool | None = None
    service: ServiceReference | None = None
    version: str | None = None
    versionPriority: Annotated[Int32, LISTED] = 0


class APIServiceCondition(Model):
    """One condition of an API service."""

    lastTransitionTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class APIServiceStatus(Model):
    """Whether the group's version can be reached."""

    conditions: Annotated[list[APIServiceCondition] | None, MergeKey("type")] = None


class APIService(Kind):
    """Hands the paths of a group's version to another server."""

    spec: APIServiceSpec = Field(default_factory=APIServiceSpec)
    status: APIServiceStatus = Field(default_factory=APIServiceStatus)
