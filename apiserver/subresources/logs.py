"""pods/log: the kubelet's /containerLogs, streamed through; over a WebSocket too, as browsers and the API's own tests ask.

Source: Kubernetes, PodLogOptions; WebSocket subprotocols binary.k8s.io and base64.binary.k8s.io.
"""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import urlencode

import httpx

from api import errors
from api.errors import FieldError
from api.types import Resource
from apiserver.core import Core
from apiserver.request import Reply, Request
from apiserver.subresources.kubelets import Kubelets, container_of, path_of
from apiserver.subresources.streaming import open_stream, refusal, send_stream, until_gone

_PASSED = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream")
BINARY, BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
_LEAST = {"sinceSeconds": 1, "tailLines": 0, "limitBytes": 1}


class PodLogs:
    """Answers GET .../pods/NAME/log."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def __call__(self, core: Core, request: Request, resource: Resource) -> Reply | None:
        """Stream one container's log. Raises BadRequest, Invalid, NotFound, ServiceUnavailable."""
        info = request.info
        if info.verb != "get":
            raise errors.MethodNotAllowed("logs are only read")
        check(request)
        pod = await self._kubelets.pod(info.namespace, info.name)
        container = container_of(pod, request.query.get("container", ""))
        node = pod["spec"].get("nodeName")
        if not node:
            return Reply(200, b"", "text/plain")
        host = await self._kubelets.node_host(node)
        query = {name: request.query[name] for name in _PASSED if request.query.get(name)}
        path = path_of("containerLogs", info.namespace, info.name, container)
        url = f"https://{host}{path}?{urlencode(query)}"
        client = self._kubelets.client
        response = await open_stream(client, client.build_request("GET", url), f"the kubelet of node {node}")
        if response.status_code != 200:
            raise await refusal(response)
        sending = self._websocket(request, response) if request.is_websocket else self._http(request, response)
        try:
            await until_gone(request, asyncio.create_task(sending))
        except httpx.HTTPError:
            return None  # the kubelet went away in the middle: the answer ends here
        finally:
            await response.aclose()
        return None

    async def _http(self, request: Request, response: httpx.Response) -> None:
        headers = request.response_headers(response.headers.get("content-type", "text/plain"))
        await send_stream(request, 200, headers, response.aiter_bytes())

    async def _websocket(self, request: Request, response: httpx.Response) -> None:
        offered = request.scope.get("subprotocols") or []
        chosen = next((protocol for protocol in (BINARY, BASE64) if protocol in offered), None)
        await request.send({"type": "websocket.accept", "subprotocol": chosen})
        request.status = 101
        async for chunk in response.aiter_bytes():
            if chosen == BASE64:
                await request.send({"type": "websocket.send", "text": base64.b64encode(chunk).decode()})
            else:
                await request.send({"type": "websocket.send", "bytes": chunk})
        await request.send({"type": "websocket.close", "code": 1000})


def check(request: Request) -> None:
    """Raise Invalid for options that are out of range or contradict each other."""
    found = []
    for name, least in _LEAST.items():
        text = request.query.get(name)
        if not text:
            continue
        try:
            number = int(text)
        except ValueError as error:
            raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
        if number < least:
            found.append(FieldError(name, "Invalid value", number, f"must be greater than or equal to {least}"))
    if request.query.get("sinceSeconds") and request.query.get("sinceTime"):
        why = "at most one of `sinceTime` or `sinceSeconds` may be specified"
        found.append(FieldError("", "Forbidden", None, why))
    if request.query.get("stream", "All") not in ("All", "Stdout", "Stderr"):
        found.append(
            FieldError(
                "stream", "Unsupported value", request.query["stream"], 'supported values: "All", "Stderr", "Stdout"'
            )
        )
    if found:
        said = ", ".join(str(error) for error in found)
        causes = [{"reason": "FieldValueInvalid", "message": e.message(), "field": e.path} for e in found]
        raise errors.Invalid(
            f'PodLogOptions "{request.info.name}" is invalid: {said}', {"kind": "PodLogOptions", "causes": causes}
        )
