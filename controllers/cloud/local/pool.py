"""The addresses that load balancers get. Pure; each address has at most one holder."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from controllers.cloud.provider import CloudError


class Pool:
    """A range of addresses and who holds which: `A-B` with both, or a network without its first and last address."""

    def __init__(self, text: str) -> None:
        """Raises ValueError."""
        self._text = text
        first, dash, last = text.partition("-")
        if dash:
            self._first, self._last = IPv4Address(first.strip()), IPv4Address(last.strip())
        else:
            network = IPv4Network(text)
            inner = 1 if network.num_addresses > 2 else 0  # RFC 3021: both addresses of a /31 are hosts
            self._first, self._last = network[inner], network[-1 - inner]
        if self._first > self._last:
            raise ValueError(f"{text!r} does not appear to be a range: its end is before its beginning")
        self._holders: dict[str, str] = {}

    def __contains__(self, ip: str) -> bool:
        try:
            return self._first <= IPv4Address(ip) <= self._last
        except ValueError:
            return False

    def __iter__(self) -> Iterator[str]:
        return (str(IPv4Address(number)) for number in range(int(self._first), int(self._last) + 1))

    def held_by(self, holder: str) -> str:
        """The holder's address, empty for none."""
        return next((ip for ip, who in self._holders.items() if who == holder), "")

    def held(self) -> list[str]:
        """The addresses that somebody holds."""
        return sorted(self._holders)

    def take(self, holder: str, wanted: str = "") -> str:
        """The holder's address: the one it has, the one it wants, or the lowest free one. Raises CloudError."""
        present = self.held_by(holder)
        if present and wanted in ("", present):
            return present
        if wanted:
            if wanted not in self:
                raise CloudError(f"the address {wanted} is not in the pool {self._text}")
            other = self._holders.get(wanted, holder)
            if other != holder:
                raise CloudError(f"the address {wanted} is in use by another load balancer")
            self.release(holder)
            self._holders[wanted] = holder
            return wanted
        for address in self:
            if address not in self._holders:
                self._holders[address] = holder
                return address
        raise CloudError(f"the pool {self._text} has no free address")

    def release(self, holder: str) -> str:
        """Give back the holder's address; returns it, empty if it had none."""
        ip = self.held_by(holder)
        self._holders.pop(ip, None)
        return ip
