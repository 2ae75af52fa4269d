"""What "the cluster is ready" means: every node Ready, the default ServiceAccount there, the DNS address answering."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct

from api import resources
from api.meta import get_condition
from api.types import Object
from client.rest import ApiClient
from cloudctl.cluster.state import DNS_ADDRESS, DNS_DOMAIN, Cluster, ClusterError
from cloudctl.wait import Scope, until

_DNS_TRY_SECONDS = 0.2


def node_is_ready(node: Object) -> bool:
    """Whether the node's Ready condition is True."""
    condition = get_condition(node, "Ready")
    return condition is not None and condition.get("status") == "True"


async def nodes(client: ApiClient, cluster: Cluster, timeout: float) -> None:
    """Wait for the nodes. Raises ClusterError that names those missing."""
    seen: dict[str, Object] = {}

    def judge(found: dict[str, Object]) -> bool | None:
        seen.clear()
        seen.update(found)
        names = cluster.node_names
        ready = [name for name, node in found.items() if node_is_ready(node) and (cluster.fake or name in names)]
        return True if len(ready) >= cluster.node_count else None

    try:
        await until(client, Scope(resources.NODES), judge, timeout)
    except TimeoutError as error:
        late = [name for name in cluster.node_names if name not in seen or not node_is_ready(seen[name])]
        raise ClusterError(f"nodes not ready after {timeout:g} s: {', '.join(late) or 'simulated nodes'}") from error


async def service_account(client: ApiClient, timeout: float) -> None:
    """Wait for `default/default`, without which no pod can be created."""
    scope = Scope.one(resources.SERVICEACCOUNTS, "default", "default")
    try:
        await until(client, scope, lambda found: True if found else None, timeout)
    except TimeoutError as error:
        raise ClusterError(f"the ServiceAccount default/default is not there after {timeout:g} s") from error


async def dns(timeout: float) -> None:
    """Ask the cluster DNS for the API's own name until it answers."""
    try:
        async with asyncio.timeout(timeout):
            # A lost datagram is no event; the question is asked again, as every resolver does.
            while not await asyncio.to_thread(  # noqa: ASYNC110
                ask, f"kubernetes.default.svc.{DNS_DOMAIN}", DNS_ADDRESS
            ):
                await asyncio.sleep(_DNS_TRY_SECONDS / 4)
    except TimeoutError as error:
        raise ClusterError(f"the cluster DNS does not answer on {DNS_ADDRESS} after {timeout:g} s") from error


def ask(name: str, server: str) -> bool:
    """Whether the DNS server has an address for the name (one UDP question, RFC 1035, with a short patience)."""
    number = secrets.randbelow(1 << 16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(_DNS_TRY_SECONDS)
        try:
            channel.connect((server, 53))
            channel.send(question)
            answer = channel.recv(4096)
        except OSError:
            return False
    got, flags, _, answers, _, _ = struct.unpack(">6H", answer[:12])
    return bool(got == number and flags & 0xF == 0 and answers > 0)
