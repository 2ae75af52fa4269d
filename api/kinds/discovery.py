"""The models of discovery."""

from typing import Annotated

from api.kinds.base import ATOMIC, IMMUTABLE, REQUIRED, SET, Int32, Model, OneOf
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind


class EndpointConditions(Model):
    """Endpoint Conditions."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForNode(Model):
    """For Node."""

    name: Annotated[str | None, REQUIRED] = None


class ForZone(Model):
    """For Zone."""

    name: Annotated[str | None, REQUIRED] = None


class EndpointHints(Model):
    """Endpoint Hints."""

    forNodes: Annotated[list[ForNode] | None, ATOMIC] = None
    forZones: Annotated[list[ForZone] | None, ATOMIC] = None


class Endpoint(Model):
    """Endpoint."""

    addresses: Annotated[list[str] | None, SET, REQUIRED] = None
    conditions: EndpointConditions | None = None
    deprecatedTopology: dict[str, str] | None = None
    hints: EndpointHints | None = None
    hostname: str | None = None
    nodeName: str | None = None
    targetRef: ObjectReference | None = None
    zone: str | None = None


class EndpointPort(Model):
    """Endpoint Port."""

    ATOMIC = True

    appProtocol: str | None = None
    name: str = ""
    port: Int32 | None = None
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"


class EndpointSlice(Kind):
    """Endpoint Slice."""

    addressType: Annotated[str | None, REQUIRED, OneOf("FQDN", "IPv4", "IPv6"), IMMUTABLE] = None
    endpoints: Annotated[list[Endpoint] | None, ATOMIC] = None
    ports: Annotated[list[EndpointPort] | None, ATOMIC] = None
