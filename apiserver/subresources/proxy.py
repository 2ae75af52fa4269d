"""pods/proxy, services/proxy, nodes/proxy: any HTTP request or WebSocket, passed on to a pod, a Service's endpoint or a kubelet.

Names are `[http:|https:]name[:port]`. Source: Kubernetes, "Access Services Running on Clusters".
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from api import errors
from api.meta import is_deleting
from api.resources import ENDPOINTSLICES, NODES, PODS, SERVICES
from api.types import Object, Resource
from apiserver.core import Core
from apiserver.handlers import write
from apiserver.request import Reply, Request
from apiserver.subresources.interactive import require_create
from apiserver.subresources.kubelets import CONNECT_TIMEOUT, Kubelets, bracketed
from apiserver.subresources.streaming import HOP_HEADERS, open_stream, send_stream, until_gone
from apiserver.subresources.websocket_proxy import pass_through

_DROPPED = HOP_HEADERS | {b"host", b"authorization", b"content-length", b"expect"}
_HTML_MAX = 4 * 1024 * 1024
_LINK = re.compile(rb"""(?P<head><[^>]*?\b(?:href|src|action)\s*=\s*)(?P<quote>["'])(?P<url>/[^"']*)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a proxied request goes: `host` with port, by http or https; kubelet: with the server's client certificate."""

    scheme: str
    host: str
    kubelet: bool = False


def split_name(name: str) -> tuple[str, str, str]:
    """Return (scheme, name, port) of `[scheme:]name[:port]`. Raises BadRequest."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("", "http", "https"):
        return parts[0], parts[1], parts[2]
    raise errors.BadRequest(f"invalid name {name!r}: must be [http:|https:]name[:port]")


def pod_port(pod: Object, wanted: str) -> str:
    """Return the port of a pod a request means: a number, a port's name, or the first one declared ("" for the scheme's)."""
    ports = [port for container in pod["spec"].get("containers") or () for port in container.get("ports") or ()]
    if not wanted:
        return str(ports[0]["containerPort"]) if ports else ""
    if wanted.isdigit():
        return wanted
    found = next((port for port in ports if port.get("name") == wanted), None)
    return str(found["containerPort"]) if found else wanted


def check_address(address: str) -> None:
    """Raise BadRequest for an address that only means something on this server's own machine or link.

    Whoever may write a pod's status or an endpoint must not reach the control plane's own loopback through the proxy.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise errors.BadRequest("address not allowed") from error
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise errors.BadRequest("address not allowed")


def endpoint_of(service: Object, slices: list[Object], wanted: str, pod_ips: Callable[[str], set[str]]) -> str:
    """Return `ip:port` of one ready endpoint behind a Service's port. Raises ServiceUnavailable.

    Only endpoints that are pods count (`pod_ips` gives a pod's addresses by name): anybody may write an EndpointSlice, and
    the proxy must not lead anywhere else.
    """
    name = service["metadata"]["name"]
    if wanted.isdigit():
        port = next((p for p in service["spec"].get("ports") or () if p.get("port") == int(wanted)), None)
        if port is None:
            raise errors.ServiceUnavailable(f'no service port {wanted} found for service "{name}"')
        wanted = port.get("name") or ""
    found = []
    for one in slices:
        port = next((p for p in one.get("ports") or () if (p.get("name") or "") == wanted and p.get("port")), None)
        if port is None:
            continue
        for endpoint in one.get("endpoints") or ():
            target = endpoint.get("targetRef") or {}
            if (endpoint.get("conditions") or {}).get("ready") is False or target.get("kind") != "Pod":
                continue
            own = pod_ips(str(target.get("name", "")))
            found += [f"{bracketed(ip)}:{port['port']}" for ip in endpoint.get("addresses") or () if ip in own]
    if not found:
        raise errors.ServiceUnavailable(f'no endpoints available for service "{name}"')
    return random.choice(found)  # noqa: S311 spreads load


class Proxy:
    """Answers one proxy subresource with every method; `locate` finds the target."""

    def __init__(self, kubelets: Kubelets, locate: Callable[[Core, Request], Awaitable[Target]]) -> None:
        self._kubelets = kubelets
        self._locate = locate
        self._client: httpx.AsyncClient | None = None
        self._context: ssl.SSLContext | None = None

    async def __call__(self, core: Core, request: Request, resource: Resource) -> Reply | None:
        """Pass the request on and its answer back. Raises BadRequest, NotFound, ServiceUnavailable."""
        if request.is_websocket:
            require_create(core, request)
        prefix, rest = split_path(request)
        if not rest and not request.is_websocket and request.info.method in ("GET", "HEAD"):
            query = request.scope.get("query_string", b"").decode("latin-1")
            place = f"{prefix}/?{query}" if query else f"{prefix}/"
            return Reply(301, b"", "text/plain", ((b"location", place.encode("latin-1")),))
        options = {"kind": f"{resource.kind}ProxyOptions", "apiVersion": "v1", "path": rest}
        await core.admit(write.admission(core, request, resource, "CONNECT", options, None))
        target = await self._locate(core, request)
        query = request.scope.get("query_string", b"").decode("latin-1")
        path = f"{rest or '/'}{'?' + query if query else ''}"
        if request.is_websocket:
            scheme = "wss" if target.scheme == "https" else "ws"
            context = self._tls(target) if scheme == "wss" else None
            return await pass_through(request, f"{scheme}://{target.host}{path}", context)
        return await self._http(request, target, path, prefix)

    def _tls(self, target: Target) -> ssl.SSLContext:
        if target.kubelet:
            return self._kubelets.context
        if self._context is None:  # what runs in pods has certificates of its own making, as with kube-apiserver
            self._context = ssl.create_default_context()
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        return self._context

    def _http_client(self, target: Target) -> httpx.AsyncClient:
        if target.kubelet:
            return self._kubelets.client
        if self._client is None:
            timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=10)
            self._client = httpx.AsyncClient(verify=self._tls(target), timeout=timeout, limits=limits, trust_env=False)
        return self._client

    async def _http(self, request: Request, target: Target, path: str, prefix: str) -> Reply | None:
        client = self._http_client(target)
        headers = forwarded_headers(request, prefix)
        method = request.info.method
        has_body = b"transfer-encoding" in request.headers or request.headers.get(b"content-length", b"0") != b"0"
        if b"content-length" in request.headers and has_body:
            headers.append((b"content-length", request.headers[b"content-length"]))
        call = client.build_request(
            method,
            f"{target.scheme}://{target.host}{path}",
            headers=headers,
            content=_body(request) if has_body else None,
        )
        response = await open_stream(client, call, f"service: {target.host}")
        try:
            await until_gone(request, asyncio.create_task(self._answer(request, response, prefix)))
        finally:
            await response.aclose()
        return None

    async def _answer(self, request: Request, response: httpx.Response, prefix: str) -> None:
        headers = answer_headers(response, prefix)
        if request.info.method == "HEAD":
            await send_stream(request, response.status_code, headers, _once(b""))
        elif response.headers.get("content-type", "").startswith("text/html"):
            page = rewrite_links(await _page(response), prefix)
            kept = [(key, value) for key, value in headers if key not in (b"content-encoding", b"content-length")]
            kept.append((b"content-length", b"%d" % len(page)))
            await send_stream(request, response.status_code, kept, _once(page))
        else:
            await send_stream(request, response.status_code, headers, response.aiter_raw())


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _page(response: httpx.Response) -> bytes:
    chunks = [chunk async for chunk in response.aiter_bytes()]
    return b"".join(chunks)


async def _body(request: Request) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def split_path(request: Request) -> tuple[str, str]:
    """Return (the path up to `/proxy`, what follows it), both as they were escaped by the client."""
    raw = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1").partition("?")[0]
    parts = raw.split("/")
    info = request.info
    at = 1 + len(("api", info.version) if not info.group else ("apis", info.group, info.version))
    at += (2 if info.namespace and info.resource != "namespaces" else 0) + 2
    prefix, rest = parts[: at + 1], parts[at + 1 :]
    return "/".join(prefix), "/" + "/".join(rest) if rest else ""


def forwarded_headers(request: Request, prefix: str) -> list[tuple[bytes, bytes]]:
    """Return the client's headers without those between two hops and without its credentials."""
    named = {word.strip().lower().encode() for word in request.header(b"connection").split(",") if word.strip()}
    headers = [(key, value) for key, value in request.scope["headers"] if key not in _DROPPED and key not in named]
    headers = [(key, value) for key, value in headers if not key.startswith(b"impersonate-")]
    before = request.header(b"x-forwarded-for")
    chain = f"{before}, {request.client_address}" if before else request.client_address
    headers = [(key, value) for key, value in headers if key != b"x-forwarded-for"]
    return [*headers, (b"x-forwarded-for", chain.encode("latin-1")), (b"x-forwarded-uri", prefix.encode("latin-1"))]


def answer_headers(response: httpx.Response, prefix: str) -> list[tuple[bytes, bytes]]:
    """Return the answer's headers; a redirect within the target stays behind the proxy."""
    headers = []
    for key, value in response.headers.raw:
        name = key.lower()
        if name in HOP_HEADERS:
            continue
        if name == b"location":
            value = relocated(value.decode("latin-1"), prefix, response.request.url.netloc.decode()).encode("latin-1")
        headers.append((name, value))
    return headers


def relocated(location: str, prefix: str, host: str) -> str:
    """Return a redirect's target as seen from outside; redirects to other hosts stay as they are."""
    parts = urlsplit(location)
    if (parts.netloc and parts.netloc != host) or not parts.path.startswith("/"):
        return location
    tail = f"?{parts.query}" if parts.query else ""
    return f"{prefix}{parts.path}{tail}"


def rewrite_links(page: bytes, prefix: str) -> bytes:
    """Return an HTML page whose absolute links go through the proxy."""
    if len(page) > _HTML_MAX:
        return page
    start = prefix.encode("latin-1")

    def put(found: re.Match[bytes]) -> bytes:
        url = found["url"]
        if url.startswith((b"//", start)):
            return found[0]
        return found["head"] + found["quote"] + start + url

    return _LINK.sub(put, page)


def proxies(kubelets: Kubelets) -> dict[tuple[str, str], Proxy]:
    """Return the three handlers by (plural, subresource)."""

    async def to_pod(core: Core, request: Request) -> Target:
        scheme, name, port = split_name(request.info.name)
        pod = await core.get(PODS, request.info.namespace, name)
        address = (pod.get("status") or {}).get("podIP")
        if not address:
            raise errors.BadRequest(f"address not allowed: pod {name} has no address yet")
        check_address(address)
        number = pod_port(pod, port)
        return Target(scheme or "http", bracketed(address) + (f":{number}" if number else ""))

    async def to_service(core: Core, request: Request) -> Target:
        scheme, name, port = split_name(request.info.name)
        service = await core.get(SERVICES, request.info.namespace, name)
        slices = [
            one
            for one in core.lookup.list(ENDPOINTSLICES, request.info.namespace)
            if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name and not is_deleting(one)
        ]

        def pod_ips(pod_name: str) -> set[str]:
            pod = core.lookup.get(PODS, request.info.namespace, pod_name)
            return {entry["ip"] for entry in ((pod or {}).get("status") or {}).get("podIPs") or ()}

        host = endpoint_of(service, slices, port, pod_ips)
        check_address(host.rpartition(":")[0].strip("[]"))
        return Target(scheme or "http", host)

    async def to_node(core: Core, request: Request) -> Target:
        scheme, name, port = split_name(request.info.name)
        node = await core.get(NODES, "", name)
        host = await kubelets.node_host(node["metadata"]["name"])
        if port and port != host.rpartition(":")[2]:
            address = host.rpartition(":")[0]
            check_address(address.strip("[]"))
            return Target(scheme or "http", f"{address}:{port}")
        return Target(scheme or "https", host, kubelet=True)

    return {
        ("pods", "proxy"): Proxy(kubelets, to_pod),
        ("services", "proxy"): Proxy(kubelets, to_service),
        ("nodes", "proxy"): Proxy(kubelets, to_node),
    }
