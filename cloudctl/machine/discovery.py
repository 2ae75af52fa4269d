"""How a machine that knows an address and the hash of a CA learns to trust a cluster: ConfigMap kube-public/cluster-info.

Source: kubeadm's token-based discovery with CA pinning; the hash is of the CA's public key (RFC 7469), `sha256:` and hex.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace

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
from cloudctl.cluster.pki import to_bundle
from cloudctl.cluster.state import ClusterError

_RACES = 10


def ca_hash(pem: bytes) -> str:
    """The hash that pins the first CA of a bundle."""
    return _hash(x509.load_pem_x509_certificates(pem)[0])


def _hash(cert: x509.Certificate) -> str:
    der = cert.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
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
    # Whoever stands in between could have added a CA of his own to the bundle.
    pinned = to_bundle(c for c in x509.load_pem_x509_certificates(claimed.ca) if _hash(c) == pin.lower())
    return await _ask(Kubeconfig(servers=[server], ca=pinned), server)


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
    """Have a server in the list; returns all. `ca` is the bundle where there is no cluster-info yet."""

    def change(info: ClusterInfo) -> ClusterInfo:
        return info if server in info.servers else replace(info, servers=(*info.servers, server))

    return list((await _change(client, change, ca)).servers)


async def remove_server(client: ApiClient, server: str) -> list[str]:
    """Have it no longer there, unless it is the last; returns all."""

    def change(info: ClusterInfo) -> ClusterInfo:
        return replace(info, servers=tuple(one for one in info.servers if one != server) or info.servers)

    return list((await _change(client, change, b"")).servers)


async def set_ca(client: ApiClient, ca: bytes) -> None:
    """Have every machine of the cluster trust this bundle: their kubelets take it from there."""
    await _change(client, lambda info: replace(info, ca=ca), ca)


async def _change(client: ApiClient, change: Callable[[ClusterInfo], ClusterInfo], ca: bytes) -> ClusterInfo:
    """Make or change the object, again if somebody else did so in between."""
    for _ in range(_RACES):
        try:
            present = await client.get(resources.CONFIGMAPS, NAME, NAMESPACE)
        except NotFound:
            info = change(ClusterInfo((), ca))
            await client.create(resources.CONFIGMAPS, config_map(info))
            return info
        info = change(parse(present))
        try:
            data = {**present["data"], **config_map(info)["data"]}
            await client.update(resources.CONFIGMAPS, {**present, "data": data})
        except Conflict:
            continue
        return info
    raise ClusterError("kube-public/cluster-info is changed by somebody else all the time")
