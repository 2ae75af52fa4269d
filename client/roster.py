"""Which of a cluster's API servers a client uses, and which it takes next. No I/O.

A client begins with a server by chance, so that the load of many spreads over all of them without anybody's doing. Only when
the first of the list is on this machine does it begin there: a control plane's own daemons need no network then. That server
is its home, to which it returns when the home is well again.
"""

from __future__ import annotations

import ipaddress
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from urllib.parse import urlsplit


class Health(IntEnum):
    """What a server said when asked whether it is ready; the greater, the better."""

    SILENT = 0
    """Nothing, or nobody listens."""
    UNREADY = 1
    """That it is not: it stops, starts, or lacks its etcd."""
    READY = 2


class Roster:
    """The servers, the one that failed last at the end; the first is in use. `pick` chooses a home among several."""

    def __init__(self, servers: Sequence[str], pick: Callable[[Sequence[str]], str] = random.choice) -> None:
        self._pick = pick
        self.servers: list[str] = []
        self.home = ""
        self.replace(servers)

    @property
    def current(self) -> str:
        """The server in use."""
        return self.servers[0]

    def replace(self, servers: Sequence[str]) -> None:
        """Take another list. The server in use stays that if it is still listed; the home is chosen anew."""
        if set(servers) == set(self.servers):
            return
        self.home = servers[0] if is_local(servers[0]) else self._pick(servers)
        kept = [server for server in self.servers if server in servers]
        new = [server for server in (self.home, *servers) if server not in kept]
        self.servers = list(dict.fromkeys(kept + new))

    def failed(self, server: str) -> None:
        """Use the others first. Said twice of a server, or of one that is not listed, it changes nothing more."""
        if server in self.servers:
            self.servers.remove(server)
            self.servers.append(server)

    def use(self, server: str) -> None:
        """Use this server first."""
        if server in self.servers:
            self.servers.remove(server)
            self.servers.insert(0, server)

    def settle(self, server: str) -> None:
        """Make a listed server the home and use it first."""
        if server in self.servers:
            self.home = server
            self.use(server)

    def better(self, server: str, health: Mapping[str, Health]) -> str | None:
        """The server to take in place of one, by what each said; None when there is none in better health."""
        others = [other for other in self.servers if other != server]
        best = max(others, key=lambda other: health.get(other, Health.SILENT), default=server)
        return best if health.get(best, Health.SILENT) > health.get(server, Health.SILENT) else None


def is_local(server: str) -> bool:
    """Whether a server's URL names this machine: `localhost`, or an address that a socket here can have."""
    host = urlsplit(server).hostname or ""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
