"""The addresses that load balancers get. Pure; each address has at most one holder."""

from __future__ import annotations

import ipaddress

from controllers.cloud.provider import CloudError


class Pool:
    """A range of addresses and who holds which. The first and last address of the range are left out."""

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.IPv4Network(cidr)
        self._holders: dict[str, str] = {}

    def __contains__(self, ip: str) -> bool:
        try:
            return ipaddress.IPv4Address(ip) in self._network
        except ValueError:
            return False

    def held_by(self, holder: str) -> str:
        """The holder's address, empty for none."""
        return next((ip for ip, who in self._holders.items() if who == holder), "")

    def take(self, holder: str, wanted: str = "") -> str:
        """The holder's address: the one it has, the one it wants, or the lowest free one. Raises CloudError."""
        present = self.held_by(holder)
        if present and wanted in ("", present):
            return present
        if wanted:
            if wanted not in self:
                raise CloudError(f"the address {wanted} is not in the pool {self._network}")
            other = self._holders.get(wanted, holder)
            if other != holder:
                raise CloudError(f"the address {wanted} is in use by another load balancer")
            self.release(holder)
            self._holders[wanted] = holder
            return wanted
        for address in self._network.hosts():
            if str(address) not in self._holders:
                self._holders[str(address)] = holder
                return str(address)
        raise CloudError(f"the pool {self._network} has no free address")

    def release(self, holder: str) -> str:
        """Give back the holder's address; returns it, empty if it had none."""
        ip = self.held_by(holder)
        self._holders.pop(ip, None)
        return ip
