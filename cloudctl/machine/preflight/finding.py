"""What is asked of preflight, and what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from cloudctl.cluster.state import DNS_ADDRESS, POD_NETWORK, SERVICE_NETWORK
from cloudctl.machine.preflight.probe import Probe
from cloudctl.machine.settings import Role

API_PORT = 6443


class Level(StrEnum):
    """How bad it is. An error stops `init` and `join`."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Request:
    """The VM as it is going to be.

    `address` is empty for the one towards the default route, `node_name` for the host name, `server` (`HOST:PORT`) when there
    is no cluster to join, `virtual_ip` when there is to be none. `ignore` holds names of checks, or "all": their errors become
    warnings (see `table.ignored`).
    """

    role: Role = Role.CONTROL_PLANE
    address: str = ""
    server: str = ""
    home: Path = Path("/var/lib/cloudlet")
    etc: Path = Path("/etc/cloudlet")
    node_name: str = ""
    ignore: frozenset[str] = field(default_factory=frozenset)
    pod_network: str = POD_NETWORK
    service_network: str = SERVICE_NETWORK
    dns_address: str = DNS_ADDRESS
    virtual_ip: str = ""

    @property
    def control_plane(self) -> bool:
        """Whether API server and etcd are going to run here."""
        return self.role == Role.CONTROL_PLANE

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Host and port of the first server, None without one. Raises ValueError for what is neither."""
        return endpoint(self.server) if self.server else None


def endpoint(text: str) -> tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[V6]:PORT`, with or without `https://` before it. Raises ValueError."""
    rest = text.removeprefix("https://").rstrip("/")
    host, _, port = rest.rpartition(":") if ":" in rest.rpartition("]")[2] else (rest, "", str(API_PORT))
    bare = host.removeprefix("[").removesuffix("]")
    if host != bare:
        ip_address(bare)
    if not bare or any(c in bare for c in "/@ ") or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r} is no server address: it must be HOST:PORT, for example 192.0.2.10:{API_PORT}")
    return bare, int(port)


@dataclass(frozen=True, slots=True)
class Result:
    """One thing a check has seen. An empty `remedy` stands for the check's own."""

    level: Level
    what: str
    remedy: str = ""


def ok(what: str) -> Result:
    """All is well."""
    return Result(Level.OK, what)


def warning(what: str, remedy: str = "") -> Result:
    """It works, and may hurt later."""
    return Result(Level.WARNING, what, remedy)


def error(what: str, remedy: str = "") -> Result:
    """It will not work."""
    return Result(Level.ERROR, what, remedy)


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table. `looks_at`, `why` and `remedy` are its documentation and what a finding says.

    `run` returns nothing where there is nothing to look at. One that `needs_root` is left out for others; one that is `alone`
    measures, so nothing else runs meanwhile.
    """

    name: str
    looks_at: str
    why: str
    remedy: str
    run: Callable[[Probe, Request], Awaitable[Iterable[Result]]]
    roles: frozenset[Role] = frozenset(Role)
    needs_root: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said about one thing: `why` and `remedy` are empty when all is well."""

    name: str
    level: Level
    what: str
    why: str = ""
    remedy: str = ""


def failed(findings: Iterable[Finding]) -> bool:
    """Whether the VM must not be set up like this."""
    return any(finding.level == Level.ERROR for finding in findings)
