"""Asks every machine, by a TLS connection, whom it trusts and whose certificate it serves with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from api import resources
from api.errors import ApiError, ServiceUnavailable, Unauthorized
from api.types import Object
from client import cluster_info
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient
from cloudctl.cluster.pairs import Pair
from cloudctl.machine import certificates, discovery, flags

_SECONDS = 15.0


@dataclass(frozen=True)
class Port:
    """Something that serves with TLS: what it is, its URL, and a path that only known clients may read."""

    name: str
    url: str
    path: str


async def ports(client: ApiClient, authority: str) -> list[Port]:
    """Everything that has certificates of this authority. Raises ApiError, ClusterError."""
    found = discovery.parse(await client.get(resources.CONFIGMAPS, cluster_info.NAME, cluster_info.NAMESPACE))
    hosts = [discovery.host(server) for server in found.servers]
    if authority == certificates.ETCD_CA:
        return [Port(f"etcd on {host}", flags.client_url(host), "/health") for host in hosts]
    servers = [Port(f"API server {server}", server, "/api/v1/namespaces/kube-system") for server in found.servers]
    nodes = (await client.list(resources.NODES))["items"]
    return servers + [_kubelet(node) for node in nodes]


def _kubelet(node: Object) -> Port:
    status, name = node.get("status") or {}, node["metadata"]["name"]
    addresses = [a["address"] for a in status.get("addresses") or () if a["type"] == "InternalIP"]
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 10250)
    return Port(f"kubelet of {name}", f"https://{addresses[0] if addresses else name}:{port}", "/pods")


async def distrusting(where: Iterable[Port], bundle: bytes, identity: Pair) -> list[str]:
    """Who does not take this identity for good, and why. `bundle` is what the asker trusts."""
    asker = Kubeconfig(servers=[], ca=bundle, cert=identity.cert, key=identity.key)
    return await _complaints(where, asker, (Unauthorized, ServiceUnavailable))


async def not_serving(where: Iterable[Port], authority: bytes, identity: Pair) -> list[str]:
    """Who does not serve with a certificate of this authority, and why. The identity is one that everybody takes for good."""
    asker = Kubeconfig(servers=[], ca=authority, cert=identity.cert, key=identity.key)
    return await _complaints(where, asker, (ServiceUnavailable,))


async def _complaints(where: Iterable[Port], asker: Kubeconfig, behind: tuple[type[ApiError], ...]) -> list[str]:
    found = await asyncio.gather(*(_complaint(port, asker, behind) for port in where))
    return [complaint for complaint in found if complaint]


async def _complaint(port: Port, asker: Kubeconfig, behind: tuple[type[ApiError], ...]) -> str:
    try:
        async with asyncio.timeout(_SECONDS), ApiClient(replace(asker, servers=[port.url]), "cloudctl") as client:
            await client.raw("GET", port.path)
    except behind as error:
        return f"{port.name}: {_reason(error.message)}"
    except TimeoutError:
        return f"{port.name}: it says nothing"
    except ApiError:
        return ""  # it knows who asks, or serves, and has its own mind about the rest
    return ""


def _reason(message: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in message:
        return "its certificate is of another authority"
    return message.rpartition("does not answer: ")[2]
