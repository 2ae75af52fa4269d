"""Gratuitous ARP: tells everybody on a link at once that an address is here now.

Sources: RFC 826, RFC 5227 section 3, packet(7).
"""

from __future__ import annotations

import socket
import struct
from typing import Protocol

_ETHERNET, _IPV4, _ARP = 1, 0x0800, 0x0806
_REQUEST, _REPLY = 1, 2
_EVERYBODY = b"\xff" * 6


class Announcer(Protocol):
    """Who tells the link."""

    def announce(self, interface: str, ip: str) -> None:
        """Raises OSError."""


class GratuitousArp:
    """One announcement as a request and one as a reply, because there are hosts that listen to one of them only."""

    def announce(self, interface: str, ip: str) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind((interface, 0))
            hardware: bytes = link.getsockname()[4]
            if len(hardware) != len(_EVERYBODY):
                return  # no Ethernet, no ARP
            for operation in (_REQUEST, _REPLY):
                link.send(frame(hardware, ip, operation))


def frame(hardware: bytes, ip: str, operation: int) -> bytes:
    """An Ethernet frame to everybody that says who has `ip`. Pure."""
    address = socket.inet_aton(ip)
    target = bytes(6) if operation == _REQUEST else _EVERYBODY
    head = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(hardware), len(address), operation)
    return _EVERYBODY + hardware + struct.pack("!H", _ARP) + head + hardware + address + target + address
