"""Probes, hooks and what they do."""

from typing import Annotated

from api.kinds.base import (
    ATOMIC,
    LISTED,
    NON_NEGATIVE,
    PORT,
    POSITIVE,
    REQUIRED,
    Int32,
    Int64,
    IntOrString,
    Model,
    OneOf,
)


class ExecAction(Model):
    """A command to run in the container."""

    command: Annotated[list[str] | None, ATOMIC] = None


class HTTPHeader(Model):
    """One header of a request."""

    name: Annotated[str | None, REQUIRED] = None
    value: Annotated[str, LISTED] = ""


class HTTPGetAction(Model):
    """An HTTP request."""

    host: str | None = None
    httpHeaders: Annotated[list[HTTPHeader] | None, ATOMIC] = None
    path: str = "/"
    port: Annotated[IntOrString | None, REQUIRED] = None
    scheme: Annotated[str, OneOf("HTTP", "HTTPS")] = "HTTP"


class TCPSocketAction(Model):
    """An attempt to connect to a TCP port."""

    host: str | None = None
    port: Annotated[IntOrString | None, REQUIRED] = None


class GRPCAction(Model):
    """A call of the gRPC health service."""

    port: Annotated[Int32 | None, REQUIRED, PORT] = None
    service: str = ""


class SleepAction(Model):
    """A wait."""

    seconds: Annotated[Int64, LISTED] = 0


class Probe(Model):
    """A check that is run again and again on a container."""

    exec: ExecAction | None = None
    failureThreshold: Annotated[Int32, POSITIVE] = 3
    grpc: GRPCAction | None = None
    httpGet: HTTPGetAction | None = None
    initialDelaySeconds: Annotated[Int32 | None, NON_NEGATIVE] = None
    periodSeconds: Annotated[Int32, POSITIVE] = 10
    successThreshold: Annotated[Int32, POSITIVE] = 1
    tcpSocket: TCPSocketAction | None = None
    terminationGracePeriodSeconds: Annotated[Int64 | None, POSITIVE] = None
    timeoutSeconds: Annotated[Int32, POSITIVE] = 1


class LifecycleHandler(Model):
    """What is done at one point of a container's life."""

    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    sleep: SleepAction | None = None
    tcpSocket: TCPSocketAction | None = None


class Lifecycle(Model):
    """What is done after a container starts and before it stops."""

    postStart: LifecycleHandler | None = None
    preStop: LifecycleHandler | None = None
    stopSignal: str | None = None
