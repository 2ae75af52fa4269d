"""Finding and calling kubelets: the node's address and port from its status, TLS with the server's kubelet client certificate."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from api import errors
from api.resources import NODES, PODS
from api.types import Object
from apiserver.options import Options

if TYPE_CHECKING:
    from apiserver.core import Core

ADDRESS_TYPES = ("InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS")
DEFAULT_PORT = 10250
CONNECT_TIMEOUT = 10.0
RETIRE = 600.0
"""Seconds after which calls that were begun with an older certificate are cut (client-go cuts them at once)."""


def tls_context(options: Options) -> ssl.SSLContext:
    """Return the TLS settings for calls to kubelets; without --kubelet-certificate-authority they are not verified."""
    if options.kubelet_certificate_authority:
        context = ssl.create_default_context(cafile=str(options.kubelet_certificate_authority))
    else:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.kubelet_client_certificate and options.kubelet_client_key:
        context.load_cert_chain(str(options.kubelet_client_certificate), str(options.kubelet_client_key))
    return context


def address_of(node: Object) -> tuple[str, int]:
    """Return (host, port) of a node's kubelet. Raises InternalError when the node has not said its address."""
    status = node.get("status") or {}
    by_type = {entry.get("type"): entry.get("address") for entry in reversed(status.get("addresses") or ())}
    host = next((by_type[kind] for kind in ADDRESS_TYPES if by_type.get(kind)), None)
    if not host:
        raise errors.InternalError(f"no preferred addresses found for node {node['metadata']['name']}")
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT
    return str(host), int(port)


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


class Kubelets:
    """The server's connections to kubelets; one HTTP client, made when it is first needed after a change of the files."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._client: httpx.AsyncClient | None = None
        self.context: ssl.SSLContext
        """The TLS settings of every call."""
        options = core.options
        files = (options.kubelet_client_certificate, options.kubelet_client_key, options.kubelet_certificate_authority)
        core.files.add(files, self._renew)

    def _renew(self) -> None:
        self.context = tls_context(self._core.options)
        old, self._client = self._client, None
        if old is not None:
            self._core.spawn(_retire(old))

    @property
    def client(self) -> httpx.AsyncClient:
        """The HTTP client of every call; answers may take as long as they like."""
        if self._client is None:
            timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30)
            self._client = httpx.AsyncClient(verify=self.context, timeout=timeout, limits=limits, trust_env=False)
        return self._client

    async def node_host(self, name: str) -> str:
        """Return `host:port` of a node's kubelet. Raises NotFound, InternalError."""
        node = self._core.lookup.get(NODES, "", name)
        if node is None:
            node = await self._core.get(NODES, "", name)
        host, port = address_of(node)
        return f"{bracketed(host)}:{port}"

    async def pod(self, namespace: str, name: str) -> Object:
        """Return a pod, as fresh as etcd. Raises NotFound."""
        return await self._core.get(PODS, namespace, name)


async def _retire(client: httpx.AsyncClient) -> None:
    try:
        await asyncio.sleep(RETIRE)
    finally:
        await client.aclose()


def container_of(pod: Object, wanted: str) -> str:
    """Return the container a request means. Raises BadRequest when it must say which, or says one that is not there."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    lists = {
        field: [c["name"] for c in spec.get(field) or ()]
        for field in ("containers", "initContainers", "ephemeralContainers")
    }
    if wanted:
        if not any(wanted in names for names in lists.values()):
            raise errors.BadRequest(f"container {wanted} is not valid for pod {name}")
        return wanted
    main, init, ephemeral = lists["containers"], lists["initContainers"], lists["ephemeralContainers"]
    if len(main) == 1:
        return str(main[0])
    if not main:
        raise errors.BadRequest(f"a container name must be specified for pod {name}")
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    if init:
        message += f" or one of the init containers: [{' '.join(init)}]"
    if ephemeral:
        message += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    raise errors.BadRequest(message)


def path_of(*parts: str) -> str:
    """Return a URL path of escaped parts."""
    return "/" + "/".join(quote(part, safe="") for part in parts)
