"""Kinds of the group discovery.k8s.io: what stands behind services."""

from typing import Annotated

from api.kinds.base import ATOMIC, IMMUTABLE, LISTED, REQUIRED, SET, Int32, Model, OneOf
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind


class EndpointConditions(Model):
    """Whether an endpoint is ready, serves and is on its way out."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForNode(Model):
    """A node for which an endpoint is meant."""

    name: Annotated[str | None, REQUIRED] = None


class ForZone(Model):
    """A zone for which an endpoint is meant."""

    name: Annotated[str | None, REQUIRED] = None


class EndpointHints(Model):
    """Who should use an endpoint."""

    forNodes: Annotated[list[ForNode] | None, ATOMIC] = None
    forZones: Annotated[list[ForZone] | None, ATOMIC] = None


class Endpoint(Model):
    """One pod or other backend behind a service."""

    addresses: Annotated[list[str] | None, SET, LISTED] = None
    conditions: EndpointConditions | None = None
    deprecatedTopology: dict[str, str] | None = None
    hints: EndpointHints | None = None
    hostname: str | None = None
    nodeName: str | None = None
    targetRef: ObjectReference | None = None
    zone: str | None = None


class EndpointPort(Model):
    """One port behind a service."""

    ATOMIC_MAP = True

    appProtocol: str | None = None
    name: str = ""
    port: Int32 | None = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class EndpointSlice(Kind):
    """A part of the endpoints behind a service."""

    addressType: Annotated[str | None, REQUIRED, OneOf("FQDN", "IPv4", "IPv6"), IMMUTABLE] = None
    endpoints: Annotated[list[Endpoint] | None, ATOMIC] = None
    ports: Annotated[list[EndpointPort] | None, ATOMIC] = None
