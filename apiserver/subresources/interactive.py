"""pods/exec, pods/attach, pods/portforward: a WebSocket between client and kubelet, passed through unchanged.

The subprotocol (v5.channel.k8s.io, v4.channel.k8s.io, SPDY/3.1+portforward.k8s.io) is the one the kubelet accepts.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from api import errors
from api.types import Object, Resource
from apiserver.auth.attributes import forbidden
from apiserver.core import Core
from apiserver.handlers import write
from apiserver.request import Reply, Request
from apiserver.subresources.kubelets import Kubelets, container_of, path_of
from apiserver.subresources.websocket_proxy import pass_through

Pairs = list[tuple[str, str]]
_TRUE = ("1", "true", "True", "t", "T", "TRUE")
STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""Names of the streams in the API's query and in the kubelet's."""


def query_pairs(request: Request) -> Pairs:
    """Return the query with repeated parameters (command=a&command=b)."""
    return parse_qsl(request.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def stream_query(pairs: Pairs, defaults: tuple[str, ...] = ()) -> Pairs:
    """Return the kubelet's stream parameters for the API's. Raises BadRequest when no stream is asked for, or a terminal
    without its own rule: a tty has no separate stderr."""
    given = dict(pairs)
    asked = [name for name in STREAMS if given.get(name, "true" if name in defaults else "") in _TRUE]
    if not {"stdin", "stdout", "stderr"} & set(asked):
        raise errors.BadRequest("you must specify at least one of stdin, stdout, stderr")
    if "tty" in asked and "stderr" in asked:
        asked.remove("stderr")
    return [(STREAMS[name], "1") for name in asked]


class Interactive:
    """Answers the three subresources; `path` and `query` say what the kubelet is asked."""

    def __init__(self, kubelets: Kubelets, endpoint: str, query: Callable[[Pairs], Pairs], *, container: bool) -> None:
        self._kubelets = kubelets
        self._endpoint = endpoint
        self._query = query
        self._container = container

    async def __call__(self, core: Core, request: Request, resource: Resource) -> Reply | None:
        """Connect the caller with the container. Raises BadRequest, Forbidden, NotFound, ServiceUnavailable."""
        info = request.info
        if not request.is_websocket:
            raise errors.BadRequest(
                "Upgrade request required: this server speaks WebSocket for exec, attach and port-forward"
            )
        require_create(core, request)
        pairs = query_pairs(request)
        pod = await self._kubelets.pod(info.namespace, info.name)
        parts = [self._endpoint, info.namespace, info.name]
        if self._container:
            parts.append(container_of(pod, dict(pairs).get("container", "")))
        check_running(pod, info.name)
        options = {"kind": f"Pod{info.subresource.capitalize()}Options", "apiVersion": "v1", **dict(pairs)}
        await core.admit(write.admission(core, request, resource, "CONNECT", options, None))
        host = await self._kubelets.node_host(pod["spec"]["nodeName"])
        url = f"wss://{host}{path_of(*parts)}?{urlencode(self._query(pairs))}"
        return await pass_through(request, url, self._kubelets.context)


def require_create(core: Core, request: Request) -> None:
    """A WebSocket is opened by GET, which rules for reading allow; connecting needs `create` (as kube-apiserver since 1.35)."""
    attributes = request.attributes()
    if attributes.verb == "create":
        return
    asked = attributes.with_verb("create")
    decision = core.plugins.authorizer.authorize(asked)
    if not decision.allowed:
        raise forbidden(asked, decision.reason)


def check_running(pod: Object, name: str) -> None:
    """Raise BadRequest when a pod is on no node yet, or has ended."""
    if not pod["spec"].get("nodeName"):
        raise errors.BadRequest(f"pod {name} does not have a host assigned")
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        raise errors.BadRequest(f"cannot exec into a container in a completed pod; current phase is {phase}")


def exec_query(pairs: Pairs) -> Pairs:
    """Return the kubelet's query for exec. Raises BadRequest without a command."""
    command = [value for name, value in pairs if name == "command"]
    if not command:
        raise errors.BadRequest("you must specify at least 1 command for the container")
    return [("command", word) for word in command] + stream_query(pairs)


def attach_query(pairs: Pairs) -> Pairs:
    """Return the kubelet's query for attach."""
    return stream_query(pairs, ("stdout", "stderr"))


def forward_query(pairs: Pairs) -> Pairs:
    """Return the kubelet's query for port-forward."""
    return [("port", value) for name, value in pairs if name in ("port", "ports")]


def interactive(kubelets: Kubelets) -> dict[tuple[str, str], Interactive]:
    """Return the three handlers by (plural, subresource)."""
    return {
        ("pods", "exec"): Interactive(kubelets, "exec", exec_query, container=True),
        ("pods", "attach"): Interactive(kubelets, "attach", attach_query, container=True),
        ("pods", "portforward"): Interactive(kubelets, "portForward", forward_query, container=False),
    }
