"""The cluster's DNS zone as an index: names to records, kept up to date one Service at a time. Pure.

Source: "Kubernetes DNS-Based Service Discovery", version 1.1.0. Pod names (`a-b-c-d.namespace.pod`) follow from their text.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from api.meta import key, split_key
from api.types import Object

SCHEMA_VERSION = "1.1.0"
Data = str | tuple[int, str]
"""A record's content: an address, a name, a text; for SRV the port and the target."""
Records = dict[str, dict[str, tuple[Data, ...]]]
"""Name (lower case, no trailing dot) → type → contents."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`records` are (name, type, content). `exists` is False for NXDOMAIN; without records but existing it is NODATA.
    `outside` is the name a CNAME leads to when that is not the cluster's."""

    exists: bool
    records: tuple[tuple[str, str, Data], ...] = ()
    additional: tuple[tuple[str, str, Data], ...] = ()
    outside: str = ""


_MISSING, _EMPTY = Answer(exists=False), Answer(exists=True)
_CNAME_LIMIT = 8


class Zone:
    """Answers for the cluster's domain, and for the reverse names of its addresses."""

    def __init__(self, domain: str, dns_address: str, cluster_cidr: str) -> None:
        self.domain = domain.strip(".").lower()
        self.generation = 0
        self._pod_range = ipaddress.ip_network(cluster_cidr)
        self._owners: dict[str, Records] = {}
        self._names: dict[str, dict[str, dict[str, tuple[Data, ...]]]] = {}
        self._parents: Counter[str] = Counter()
        self._put(
            "",
            {
                self.domain: {"NS": (f"ns.dns.{self.domain}",)},
                f"ns.dns.{self.domain}": {"A": (dns_address,)},
                f"dns-version.{self.domain}": {"TXT": (SCHEMA_VERSION,)},
                f"svc.{self.domain}": {},
                f"pod.{self.domain}": {},
            },
        )

    def replace(self, service: Object, slices: Iterable[Object]) -> None:
        """Take a Service and all of its EndpointSlices for the truth."""
        self._put(key(service), service_records(service, slices, self.domain))

    def remove(self, service_key: str) -> None:
        """Forget a Service."""
        self._put(service_key, {})

    def covers(self, name: str) -> bool:
        """Whether only we may answer for the name (lower case, no trailing dot)."""
        if name == self.domain or name.endswith(f".{self.domain}"):
            return True
        return name.endswith(".in-addr.arpa") and (name in self._names or self._is_pod_range(name))

    def answer(self, name: str, kind: str) -> Answer:
        """What to say about a covered name (lower case, no trailing dot) and a record type such as "A"."""
        return self._follow(name, kind, _CNAME_LIMIT)

    def _follow(self, name: str, kind: str, hops: int) -> Answer:
        found = self._lookup(name)
        if found is None:
            return _EMPTY if name in self._parents else _MISSING
        if "CNAME" in found and kind not in ("CNAME", "ANY"):
            target = str(found["CNAME"][0])
            own = ((name, "CNAME", target),)
            if not self.covers(target) or hops == 0:
                return Answer(True, own, outside=target if hops else "")
            rest = self._follow(target, kind, hops - 1)
            return Answer(True, own + rest.records, rest.additional, rest.outside)
        kinds = found if kind == "ANY" else {kind: found.get(kind, ())}
        records = tuple((name, k, data) for k, contents in kinds.items() for data in contents)
        return Answer(True, records, self._targets(records)) if records else _EMPTY

    def _targets(self, records: tuple[tuple[str, str, Data], ...]) -> tuple[tuple[str, str, Data], ...]:
        """The addresses of what SRV records name, which clients would ask for next."""
        targets = {data[1] for _, kind, data in records if kind == "SRV" and isinstance(data, tuple)}
        return tuple((t, "A", a) for t in sorted(targets) for a in (self._lookup(t) or {}).get("A", ()))

    def _lookup(self, name: str) -> dict[str, tuple[Data, ...]] | None:
        owners = self._names.get(name)
        if owners is None:
            return self._pod(name)
        if len(owners) == 1:
            return next(iter(owners.values()))
        merged: dict[str, tuple[Data, ...]] = {}
        for records in owners.values():
            for kind, data in records.items():
                merged[kind] = tuple(dict.fromkeys(merged.get(kind, ()) + data))
        return merged

    def _pod(self, name: str) -> dict[str, tuple[Data, ...]] | None:
        head, dot, _ = name.removesuffix(f".pod.{self.domain}").partition(".")
        if not dot or not name.endswith(f".pod.{self.domain}"):
            return None
        try:
            return {"A": (str(ipaddress.IPv4Address(head.replace("-", "."))),)}
        except ValueError:
            return None

    def _is_pod_range(self, name: str) -> bool:
        try:
            address = ipaddress.ip_address(".".join(reversed(name.removesuffix(".in-addr.arpa").split("."))))
        except ValueError:
            return False
        return address in self._pod_range

    def _put(self, owner: str, records: Records) -> None:
        old = self._owners.get(owner, {})
        if old == records:
            return
        self.generation += 1
        for name in old:
            del self._names[name][owner]
            if not self._names[name]:
                del self._names[name]
            for parent in _parents(name):
                self._parents[parent] -= 1
                if not self._parents[parent]:
                    del self._parents[parent]
        for name, contents in records.items():
            self._names.setdefault(name, {})[owner] = contents
            self._parents.update(_parents(name))
        if records:
            self._owners[owner] = records
        else:
            self._owners.pop(owner, None)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name


def service_records(service: Object, slices: Iterable[Object], domain: str) -> Records:
    """All records that one Service causes."""
    namespace, short = split_key(key(service))
    spec, name = service.get("spec") or {}, f"{short}.{namespace}.svc.{domain}"
    if spec.get("type") == "ExternalName":
        return {name: {"CNAME": (str(spec.get("externalName", "")).rstrip(".").lower(),)}}
    if spec.get("clusterIP") == "None":
        return _headless(name, slices)
    ips = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip]
    if not ips:
        return {}
    records: Records = {name: _addresses(ips)}
    for ip in ips:
        records[reverse_name(ip)] = {"PTR": (name,)}
    for port in spec.get("ports") or ():
        if port.get("name"):
            protocol = (port.get("protocol") or "TCP").lower()
            records[f"_{port['name']}._{protocol}.{name}".lower()] = {"SRV": ((int(port["port"]), name),)}
    return records


def _headless(name: str, slices: Iterable[Object]) -> Records:
    """Every ready endpoint's address under the Service's name, and each under a name of its own."""
    hosts: dict[str, list[str]] = {}
    ports: dict[str, list[tuple[int, str]]] = {}
    reverse: Records = {}
    for part in slices:
        if part.get("addressType") not in ("IPv4", "IPv6"):
            continue
        for endpoint in part.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready", True) is False:
                continue
            for ip in endpoint.get("addresses") or ():
                host = f"{endpoint.get('hostname') or ip.replace('.', '-').replace(':', '-')}.{name}".lower()
                hosts.setdefault(host, []).append(ip)
                reverse[reverse_name(ip)] = {"PTR": (host,)}
                for port in part.get("ports") or ():
                    if port.get("name") and port.get("port"):
                        label = f"_{port['name']}._{(port.get('protocol') or 'TCP').lower()}.{name}".lower()
                        ports.setdefault(label, []).append((int(port["port"]), host))
    records: Records = {name: _addresses([ip for ips in hosts.values() for ip in ips])}
    records |= {host: _addresses(ips) for host, ips in hosts.items()}
    records |= {label: {"SRV": tuple(dict.fromkeys(targets))} for label, targets in ports.items()}
    return records | reverse


def _addresses(ips: Iterable[str]) -> dict[str, tuple[Data, ...]]:
    unique = sorted(set(ips))
    found: dict[str, tuple[Data, ...]] = {
        "A": tuple(ip for ip in unique if ":" not in ip),
        "AAAA": tuple(ip for ip in unique if ":" in ip),
    }
    return {kind: data for kind, data in found.items() if data}


def reverse_name(ip: str) -> str:
    """The name under in-addr.arpa or ip6.arpa that leads from an address back to names."""
    return ipaddress.ip_address(ip).reverse_pointer
