"""How a machine that knows an address and the hash of a CA learns to trust a cluster: ConfigMap kube-public/cluster-info.

Source: kubeadm's token-based discovery with CA pinning; the hash is of the CA's public key (RFC 7469), `sha256:` and hex.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from api import resources
from api.errors import ApiError, Conflict, NotFound, ServiceUnavailable
from api.types import Object
from client import cluster_info
from client.cluster_info import KUBECONFIG, NAME, NAMESPACE, ClusterInfo
from client.kubeconfig import SERVERS_EXTENSION, Kubeconfig
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError

_RACES = 10


def ca_hash(pem: bytes) -> str:
    """The hash that pins the first CA of a bundle."""
    key = x509.load_pem_x509_certificates(pem)[0].public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def config_map(info: ClusterInfo) -> Object:
    """The object, with a kubeconfig that has no user."""
    where: Object = {"server": info.servers[0], "certificate-authority-data": base64.b64encode(info.ca).decode()}
    if len(info.servers) > 1:
        where["extensions"] = [{"name": SERVERS_EXTENSION, "extension": {"servers": list(info.servers)}}]
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": where}], "contexts": []}
    return {
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "data": {KUBECONFIG: yaml.safe_dump(config, sort_keys=False)},
    }


def parse(obj: Object) -> ClusterInfo:
    """Read the object. Raises ClusterError."""
    try:
        return cluster_info.parse(obj)
    except ValueError as error:
        raise ClusterError(str(error)) from error


def host(server: str) -> str:
    """The address in a server's URL."""
    return server.removeprefix("https://").rpartition(":")[0]


async def discover(server: str, pin: str) -> ClusterInfo:
    """Ask a server whom nobody vouches for yet, and believe it only if its CA has the hash `pin`. Raises ClusterError.

    The answer is asked for again over a connection that this CA secures, so that nobody in between can have changed it.
    """
    if not pin.startswith("sha256:") or len(pin) != 71:
        raise ClusterError(
            "--ca-cert-hash: `sha256:` and 64 hexadecimal digits are needed, as `cloudctl init` printed them"
        )
    claimed = await _ask(Kubeconfig(servers=[server], insecure=True), server)
    if not claimed.ca or ca_hash(claimed.ca) != pin.lower():
        raise ClusterError(
            f"--ca-cert-hash: the cluster at {server} has another CA ({ca_hash(claimed.ca) if claimed.ca else 'none'}): "
            "either the hash is mistyped, or this is not the cluster you mean"
        )
    return await _ask(Kubeconfig(servers=[server], ca=claimed.ca), server)


async def _ask(config: Kubeconfig, server: str) -> ClusterInfo:
    try:
        async with ApiClient(config, "cloudctl") as client:
            return parse(await client.get(resources.CONFIGMAPS, NAME, NAMESPACE))
    except NotFound as error:
        raise ClusterError(f"{server} offers no cluster-info: was it made by `cloudctl init`?") from error
    except ServiceUnavailable as error:
        raise ClusterError(
            f"no API server answers at {server} ({error.message}): is the address right, the port open "
            "in every firewall between, and cloudlet-apiserver running there?"
        ) from error
    except ApiError as error:
        raise ClusterError(f"{server} does not let anybody read its cluster-info: {error.message}") from error


async def add_server(client: ApiClient, server: str, ca: bytes) -> list[str]:
    """Have a server in the list; returns all."""

    def change(servers: list[str]) -> list[str]:
        return servers if server in servers else [*servers, server]

    return await _change(client, change, ca)


async def remove_server(client: ApiClient, server: str) -> list[str]:
    """Have it no longer there, unless it is the last; returns all."""

    def change(servers: list[str]) -> list[str]:
        return [one for one in servers if one != server] or servers

    return await _change(client, change, b"")


async def _change(client: ApiClient, change: Callable[[list[str]], list[str]], ca: bytes) -> list[str]:
    """Make or change the object, again if somebody else did so in between."""
    for _ in range(_RACES):
        try:
            present = await client.get(resources.CONFIGMAPS, NAME, NAMESPACE)
        except NotFound:
            servers = change([])
            await client.create(resources.CONFIGMAPS, config_map(ClusterInfo(tuple(servers), ca)))
            return servers
        info = parse(present)
        servers = change(list(info.servers))
        wanted = config_map(ClusterInfo(tuple(servers), info.ca))["data"]
        try:
            await client.update(resources.CONFIGMAPS, {**present, "data": {**present["data"], **wanted}})
        except Conflict:
            continue
        return servers
    raise ClusterError("kube-public/cluster-info is changed by somebody else all the time")
