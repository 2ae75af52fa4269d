"""News from the kernel: changed addresses and routes, changed nftables, without asking and without a helper process.

Sources: rtnetlink(7); linux/netfilter/nf_tables.h, nfnetlink.h.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_ADDRESS_GROUP, _ROUTE_GROUP, _NFTABLES_GROUP = 5, 7, 7
_NFTABLES_SUBSYSTEM = 10
_DELETE_TABLE = 2
_HEADER, _GENERIC, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBH"), struct.Struct("=HH")
_FAMILIES = {1: "inet", 2: "ip", 10: "ip6"}


@dataclass(frozen=True, slots=True)
class TableEvent:
    """Something in an nftables table has changed; `deleted` when the table itself has gone."""

    family: str
    table: str
    deleted: bool


def parse_tables(data: bytes) -> Iterator[TableEvent]:
    """The events in one datagram of the nftables group; messages that name no table are left out."""
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        message, data = data[:length], data[_aligned(length) :]
        if length < _HEADER.size:
            return
        if kind >> 8 != _NFTABLES_SUBSYSTEM:
            continue
        start = _HEADER.size + _GENERIC.size
        if len(message) < start + _ATTRIBUTE.size:
            continue
        family = _FAMILIES.get(message[_HEADER.size], "")
        size, attribute = _ATTRIBUTE.unpack_from(message, start)
        # In every message but those about generations, attribute 1 is the table's name.
        if attribute == 1 and family:
            name = message[start + _ATTRIBUTE.size : start + size].rstrip(b"\0").decode(errors="replace")
            yield TableEvent(family, name, kind & 0xFF == _DELETE_TABLE)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


class Listener:
    """A netlink socket in the event loop. `on_lost` is called when the kernel had more news than we could take."""

    def __init__(
        self, protocol: int, groups: tuple[int, ...], on_data: Callable[[bytes], None], on_lost: Callable[[], None]
    ) -> None:
        self._on_data, self._on_lost = on_data, on_lost
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, 0))
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError:
                # ENOBUFS: events were lost; whoever listens must look for itself.
                self._on_lost()
                return
            self._on_data(data)

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


def listen_tables(on_event: Callable[[TableEvent], None], on_lost: Callable[[], None]) -> Listener:
    """Hear of changes in nftables. Raises OSError without the right to."""

    def take(data: bytes) -> None:
        for event in parse_tables(data):
            on_event(event)

    return Listener(_NETLINK_NETFILTER, (_NFTABLES_GROUP,), take, on_lost)


def listen_addresses(on_change: Callable[[], None]) -> Listener:
    """Hear of changed IPv4 addresses and routes."""
    return Listener(_NETLINK_ROUTE, (_ADDRESS_GROUP, _ROUTE_GROUP), lambda _: on_change(), on_change)
