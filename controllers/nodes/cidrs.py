"""A range of addresses cut into equal parts, handed out at most once each. Pure bookkeeping."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network


class RangeFull(Exception):
    """Every part is taken."""


class CidrPool:
    """Parts of size `/mask` of `whole`. Lowest free part first, going round so that a released one rests for a while."""

    def __init__(self, whole: str, mask: int) -> None:
        self.whole = ip_network(whole)
        if not self.whole.prefixlen <= mask <= self.whole.max_prefixlen:
            raise ValueError(f"a node mask of /{mask} does not fit into {whole}")
        self.mask = mask
        self.count = 1 << (mask - self.whole.prefixlen)
        self._step = 1 << (self.whole.max_prefixlen - mask)
        self._taken: set[int] = set()
        self._next = 0

    def occupy(self, cidr: str) -> None:
        """Mark what overlaps `cidr` as taken; a range outside the whole is ignored. Raises ValueError for nonsense."""
        network = ip_network(cidr)
        self._taken.update(self._positions(network))

    def release(self, cidr: str) -> None:
        """Give back a part."""
        self._taken.difference_update(self._positions(ip_network(cidr)))

    def take(self) -> str:
        """A free part. Raises RangeFull."""
        for offset in range(self.count):
            position = (self._next + offset) % self.count
            if position not in self._taken:
                self._taken.add(position)
                self._next = position + 1
                kind = type(self.whole)
                return str(kind((int(self.whole.network_address) + position * self._step, self.mask)))
        raise RangeFull(f"no free range of /{self.mask} in {self.whole}")

    def _positions(self, network: IPv4Network | IPv6Network) -> range:
        if network.version != self.whole.version:
            return range(0)
        base = int(self.whole.network_address)
        first = (int(network.network_address) - base) // self._step
        last = (int(network.broadcast_address) - base) // self._step
        return range(max(first, 0), min(last, self.count - 1) + 1)
