"""What can be done to pods beside reading and writing them: logs, exec, port-forward, proxies, binding, eviction."""

import secrets
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apiserver.kubernetes_service import advertised
from tests.api import kubelet as fakes
from tests.api.cluster import HOST, Cluster, free_port
from tests.api.http import Api, Object
from tests.api.kubelet import Kubelet
from tests.api.objects import pod

OWN = advertised("", "0.0.0.0")  # noqa: S104 asks for an address, binds none
"""An address of this machine beside loopback."""
BUDGETS = "/apis/policy/v1"


@pytest.fixture(scope="session")
def kubelet(cluster: Cluster) -> Iterator[Kubelet]:
    fake = Kubelet()
    with fakes.serve(fake.app, fake.port, cluster.pki):
        yield fake


@pytest.fixture
def node(api: Api, kubelet: Kubelet) -> Iterator[str]:
    name = f"node-{secrets.token_hex(3)}"
    api.post("/api/v1/nodes", fakes.node(name, kubelet.port))
    yield name
    api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def running(api: Api, core: str, node: str) -> str:
    """The path of a pod that runs on the fake's node."""
    containers = [{"name": name, "image": "x"} for name in ("c", "waiting")]
    api.post(f"{core}/pods", pod("p", nodeName=node, containers=containers))
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.patch(f"{core}/pods/p/status", {"status": ready})
    return f"{core}/pods/p"


class AsItStands(ClientConnection):
    """Takes any subprotocol, also the one of port-forward, which is no token of RFC 6455."""

    def __init__(self, socket: Any, protocol: ClientProtocol, **settings: Any) -> None:
        setattr(protocol, "process_subprotocol", lambda headers: headers.get("Sec-WebSocket-Protocol"))  # noqa: B010
        super().__init__(socket, protocol, **settings)


def dial(cluster: Cluster, path: str, *protocols: str, name: str = "admin", **headers: str) -> ClientConnection:
    context = ssl.create_default_context(cafile=cluster.pki / "ca.crt")
    context.load_cert_chain(cluster.pki / f"{name}.crt", cluster.pki / f"{name}.key")
    url = f"wss://{HOST}:{cluster.port}{path}"
    if protocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
    return connect(
        url,
        ssl=context,
        create_connection=AsItStands,
        additional_headers=headers,
        open_timeout=10,
        close_timeout=5,
        proxy=None,
    )


def test_a_log_is_streamed_with_all_its_options(api: Api, running: str, kubelet: Kubelet) -> None:
    options = {
        "container": "c",
        "tailLines": "5",
        "timestamps": "true",
        "previous": "true",
        "sinceSeconds": "9",
        "limitBytes": "99",
    }
    response = api.client.get(f"{running}/log", params=options)
    assert (response.status_code, response.text) == (200, "one\ntwo\n")
    assert response.headers["content-type"].startswith("text/plain")
    asked = kubelet.asked[-1]
    assert asked.startswith("/containerLogs/") and "/p/c?" in asked
    assert all(f"{key}={value}" in asked for key, value in options.items() if key != "container")


def test_a_followed_log_ends_when_the_reader_leaves(api: Api, running: str, kubelet: Kubelet) -> None:
    kubelet.closed.clear()
    with api.client.stream("GET", f"{running}/log", params={"container": "c", "follow": "true"}) as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["one", "two", "more"]
    assert kubelet.closed.wait(10), "the kubelet still streams"


def test_a_log_of_no_certain_container_is_refused(api: Api, running: str) -> None:
    refused = api.get(f"{running}/log", expect=400)
    assert refused["message"] == "a container name must be specified for pod p, choose one of: [c waiting]"
    refused = api.get(f"{running}/log", expect=400, container="x")
    assert refused["message"] == "container x is not valid for pod p"


def test_what_the_kubelet_refuses_is_told(api: Api, running: str) -> None:
    refused = api.get(f"{running}/log", expect=400, container="waiting")
    assert (refused["reason"], refused["message"]) == (
        "BadRequest",
        'container "waiting" in pod "p" is waiting to start: ContainerCreating',
    )


def test_log_options_are_checked(api: Api, running: str) -> None:
    refused = api.get(f"{running}/log", expect=422, container="c", tailLines="-1")
    assert refused["details"]["causes"][0]["field"] == "tailLines"
    api.get(f"{running}/log", expect=422, container="c", sinceSeconds="1", sinceTime="2026-01-01T00:00:00Z")
    api.get(f"{running}/log", expect=400, container="c", tailLines="many")


def test_a_kubelet_out_of_reach_is_unavailable(api: Api, core: str) -> None:
    name = f"node-{secrets.token_hex(3)}"
    api.post("/api/v1/nodes", fakes.node(name, free_port()))
    api.post(f"{core}/pods", pod("lost", nodeName=name))
    refused = api.get(f"{core}/pods/lost/log", expect=503)
    assert refused["reason"] == "ServiceUnavailable"
    api.delete(f"/api/v1/nodes/{name}")


def test_a_log_goes_over_a_websocket_too(cluster: Cluster, running: str) -> None:
    with dial(cluster, f"{running}/log?container=c", "binary.k8s.io") as socket:
        assert socket.subprotocol == "binary.k8s.io"
        got = b"".join(message if isinstance(message, bytes) else message.encode() for message in socket)
    assert got == b"one\ntwo\n"


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
def test_exec_passes_bytes_through_both_ways(cluster: Cluster, running: str, kubelet: Kubelet, protocol: str) -> None:
    path = f"{running}/exec?command=echo&command=a%20b&stdin=true&stdout=true&stderr=true&container=c"
    with dial(cluster, path, protocol) as socket:
        assert socket.subprotocol == protocol
        for size in (1, 100_000):
            socket.send(b"\x00" + b"x" * size)
            assert socket.recv(10) == b"\x01" + b"x" * size
        socket.send(b"\x00bye")
        assert socket.recv(10) == b'\x03{"status":"Success"}'
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000
    asked = kubelet.asked[-1]
    assert asked.startswith("/exec/") and "command=echo&command=a+b" in asked
    assert all(word in asked for word in ("input=1", "output=1", "error=1"))


def test_the_newest_subprotocol_both_sides_speak_is_chosen(cluster: Cluster, running: str) -> None:
    path = f"{running}/exec?command=x&stdout=true&container=c"
    with dial(cluster, path, "v9.channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io") as socket:
        assert socket.subprotocol == "v5.channel.k8s.io"


def test_a_handshake_the_kubelet_refuses_is_refused(cluster: Cluster, running: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        dial(cluster, f"{running}/exec?command=x&stdout=true&container=c", "v9.channel.k8s.io")
    assert refused.value.response.status_code == 403


def test_exec_is_checked_before_the_kubelet_is_asked(cluster: Cluster, api: Api, running: str, core: str) -> None:
    for query, code in (
        ("stdout=true&container=c", 400),
        ("command=x&container=c", 400),
        ("command=x&stdout=true", 400),
    ):
        with pytest.raises(InvalidStatus) as refused:
            dial(cluster, f"{running}/exec?{query}", "v5.channel.k8s.io")
        assert refused.value.response.status_code == code, query
    with pytest.raises(InvalidStatus) as refused:
        dial(cluster, f"{core}/pods/none/exec?command=x&stdout=true", "v5.channel.k8s.io")
    assert refused.value.response.status_code == 404
    api.get(f"{running}/exec", expect=400, command="x", stdout="true")


def test_reading_rights_do_not_open_a_shell(cluster: Cluster, api: Api, running: str, namespace: str) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}
    api.post(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    subject = {"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    api.post(f"{rbac}/rolebindings", {"metadata": {"name": "r"}, "roleRef": role, "subjects": [subject]})
    with pytest.raises(InvalidStatus) as refused:
        dial(
            cluster,
            f"{running}/exec?command=x&stdout=true&container=c",
            "v5.channel.k8s.io",
            **{"Impersonate-User": "eve"},
        )
    assert refused.value.response.status_code == 403
    assert b'cannot create resource \\"pods/exec\\"' in (refused.value.response.body or b"")


def test_port_forward_tunnels_bytes_unchanged(cluster: Cluster, running: str) -> None:
    with dial(cluster, f"{running}/portforward?ports=80", "SPDY/3.1+portforward.k8s.io") as socket:
        assert socket.subprotocol == "SPDY/3.1+portforward.k8s.io"
        frame = secrets.token_bytes(70_000)
        socket.send(frame)
        assert socket.recv(10) == frame


async def show(request: Request) -> Response:
    body = (await request.body()).decode()
    shown = {"method": request.method, "path": request.url.path, "query": request.url.query, "body": body}
    return JSONResponse(
        shown | {"forwarded": request.headers.get("x-forwarded-uri"), "auth": request.headers.get("authorization")}
    )


async def page(request: Request) -> Response:
    return HTMLResponse('<a href="/rewriteme">test</a><a href="https://x.org/">out</a>')


async def moved(request: Request) -> Response:
    return RedirectResponse("/elsewhere?x=1")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@pytest.fixture(scope="session")
def web() -> Iterator[int]:
    routes = [
        Route("/page", page),
        Route("/moved", moved),
        WebSocketRoute("/echo", echo),
        Route("/{p:path}", show, methods=METHODS),
    ]
    port = free_port()
    if OWN == HOST:
        pytest.skip("this machine has no address but loopback, to which nothing is proxied")
    with fakes.serve(Starlette(routes=routes), port, host=OWN):
        yield port


@pytest.fixture
def target(api: Api, core: str, web: int) -> str:
    """The path of a pod whose address is this machine's and whose named port is the test's web server."""
    containers = [{"name": "c", "image": "x", "ports": [{"name": "http", "containerPort": web}]}]
    api.post(f"{core}/pods", pod("web", containers=containers, nodeName="somewhere"))
    api.patch(f"{core}/pods/web/status", {"status": {"podIP": OWN, "podIPs": [{"ip": OWN}]}})
    return f"{core}/pods"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_pod_is_reached_with_every_method(api: Api, target: str, method: str) -> None:
    content = "hello" if method in ("POST", "PUT", "PATCH") else None
    response = api.client.request(method, f"{target}/web/proxy/a/b%2Fc?x=1&y=2", content=content)
    assert response.status_code == 200, response.text
    shown = response.json()
    assert (shown["method"], shown["query"], shown["body"]) == (method, "x=1&y=2", content or "")
    assert shown["auth"] is None


@pytest.mark.parametrize("name", ["web", "http:web:http", "web:http", "http:web:"])
def test_a_pods_port_is_found_by_number_name_or_default(api: Api, target: str, web: int, name: str) -> None:
    assert api.get(f"{target}/{name}/proxy/x")["path"] == "/x"
    assert api.get(f"{target}/web:{web}/proxy/x")["path"] == "/x"


def test_links_and_redirects_stay_behind_the_proxy(api: Api, target: str) -> None:
    html = api.client.get(f"{target}/web/proxy/page").text
    assert f'<a href="{target}/web/proxy/rewriteme">' in html and 'href="https://x.org/"' in html
    response = api.client.get(f"{target}/web/proxy/moved")
    assert response.headers["location"] == f"{target}/web/proxy/elsewhere?x=1"
    response = api.client.get(f"{target}/web/proxy")
    assert (response.status_code, response.headers["location"]) == (301, f"{target}/web/proxy/")


def test_a_websocket_goes_through_the_proxy(cluster: Cluster, target: str) -> None:
    with dial(cluster, f"{target}/web/proxy/echo") as socket:
        socket.send("hello")
        assert socket.recv(10) == "hello"


def test_a_service_without_endpoints_is_unavailable(api: Api, core: str) -> None:
    ports = [{"name": "http", "port": 80}]
    api.post(f"{core}/services", {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    refused = api.get(f"{core}/services/s:http/proxy/x", expect=503)
    assert refused["message"] == 'no endpoints available for service "s"'


def test_a_service_is_reached_through_its_pods(api: Api, core: str, namespace: str, target: str, web: int) -> None:
    ports = [{"name": "http", "port": 80}]
    api.post(f"{core}/services", {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    endpoint = {"addresses": [OWN], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "web"}}
    one = {
        "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": "http", "port": web, "protocol": "TCP"}],
    }
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    api.post(path, one)
    for name in ("s:http", "s:80", "http:s:http"):
        assert api.get(f"{core}/services/{name}/proxy/x/y")["path"] == "/x/y"
    api.get(f"{core}/services/s:81/proxy/x", expect=503)
    api.patch(f"{path}/s-1", {"endpoints": [{k: v for k, v in endpoint.items() if k != "targetRef"}]})
    api.get(f"{core}/services/s:80/proxy/x", expect=503)


def test_the_proxy_does_not_lead_to_the_servers_own_machine(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("inside", nodeName="somewhere"))
    api.patch(f"{core}/pods/inside/status", {"status": {"podIP": HOST, "podIPs": [{"ip": HOST}]}})
    assert api.get(f"{core}/pods/inside/proxy/x", expect=400)["message"] == "address not allowed"


def test_a_node_is_reached_as_its_kubelet(api: Api, node: str, kubelet: Kubelet) -> None:
    assert api.client.get(f"/api/v1/nodes/{node}/proxy/healthz").text == "ok"
    assert api.client.get(f"/api/v1/nodes/{node}:{kubelet.port}/proxy/healthz").text == "ok"


def bind(node: str, **meta: object) -> Object:
    return {"metadata": meta, "target": {"kind": "Node", "name": node}}


def test_a_pod_is_bound_once(api: Api, core: str, node: str) -> None:
    api.post(f"{core}/pods", pod("p"))
    done = api.post(f"{core}/pods/p/binding", bind(node, name="p", annotations={"a": "b"}))
    assert (done["kind"], done["status"]) == ("Status", "Success")
    found = api.get(f"{core}/pods/p")
    assert found["spec"]["nodeName"] == node
    assert found["metadata"]["annotations"]["a"] == "b"
    assert found["metadata"]["labels"]["topology.kubernetes.io/zone"] == "z1"
    assert [(c["type"], c["status"]) for c in found["status"]["conditions"]] == [("PodScheduled", "True")]
    refused = api.post(f"{core}/pods/p/binding", bind("other"), expect=409)
    assert refused["message"] == (
        f'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "{node}"'
    )


def test_a_binding_may_be_made_for_the_pod_of_one_uid(api: Api, core: str, node: str) -> None:
    made = api.post(f"{core}/pods", pod("p"))
    api.post(f"{core}/pods/p/binding", bind(node, uid="another"), expect=409)
    api.post(f"{core}/bindings", bind(node, name="p", uid=made["metadata"]["uid"]))
    assert api.get(f"{core}/pods/p")["spec"]["nodeName"] == node
    api.post(f"{core}/pods/none/binding", bind(node), expect=404)
    api.post(f"{core}/pods/p/binding", {"target": {"kind": "Node"}}, expect=422)


def budget(api: Api, namespace: str, **status: int) -> str:
    path = f"{BUDGETS}/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}}
    api.post(path, {"metadata": {"name": "b"}, "spec": spec})
    counted = {
        "observedGeneration": 1,
        "expectedPods": 1,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "disruptionsAllowed": 0,
    }
    api.patch(f"{path}/b/status", {"status": counted | status})
    return f"{path}/b"


def evict(api: Api, path: str, expect: int = 201, **options: object) -> Object:
    return api.post(f"{path}/eviction", {"metadata": {"name": "p"}, "deleteOptions": options}, expect=expect)


def test_an_eviction_deletes_the_pod_and_says_why(api: Api, running: str) -> None:
    evict(api, running, gracePeriodSeconds=5)
    found = api.get(running)
    assert found["metadata"]["deletionGracePeriodSeconds"] == 5
    target = next(c for c in found["status"]["conditions"] if c["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")


def test_an_eviction_waits_for_the_disruption_budget(api: Api, running: str, namespace: str) -> None:
    path = budget(api, namespace)
    refused = evict(api, running, 429)
    assert refused["reason"] == "TooManyRequests"
    assert refused["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    cause = refused["details"]["causes"][0]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget b needs 1 healthy pods and has 1 currently"
    api.patch(f"{path}/status", {"status": {"disruptionsAllowed": 1}})
    evict(api, running, dryRun=["All"])
    assert api.get(path)["status"]["disruptionsAllowed"] == 1
    evict(api, running)
    charged = api.get(path)["status"]
    assert charged["disruptionsAllowed"] == 0 and "p" in charged["disruptedPods"]


def test_an_eviction_waits_for_a_budget_to_be_counted(api: Api, running: str, namespace: str) -> None:
    budget(api, namespace, observedGeneration=0)
    refused = evict(api, running, 429)
    assert refused["details"]["retryAfterSeconds"] == 10


def test_a_pod_that_does_not_run_is_evicted_whatever_its_budget(api: Api, core: str, namespace: str) -> None:
    budget(api, namespace)
    api.post(f"{core}/pods", pod("p"))
    evict(api, f"{core}/pods/p")
    api.get(f"{core}/pods/p", expect=404)


def test_ephemeral_containers_are_added_and_stay(api: Api, running: str) -> None:
    path = f"{running}/ephemeralcontainers"
    debug = {"name": "debug", "image": "busybox"}
    done = api.patch(path, {"spec": {"ephemeralContainers": [debug]}}, "strategic")
    assert done["spec"]["ephemeralContainers"][0]["name"] == "debug"
    found = api.get(path)
    assert [c["name"] for c in found["spec"]["containers"]] == ["c", "waiting"]
    without = found | {"spec": found["spec"] | {"ephemeralContainers": []}}
    api.put(path, without, expect=422)
    more = [*found["spec"]["containers"], {"name": "sneaked", "image": "x"}]
    done = api.put(path, found | {"spec": found["spec"] | {"containers": more}})
    assert done["spec"]["containers"] == found["spec"]["containers"], "this endpoint writes ephemeral containers alone"


def test_resize_changes_resources_and_nothing_else(api: Api, running: str) -> None:
    wanted = {"spec": {"containers": [{"name": "c", "image": "other", "resources": {"requests": {"cpu": "200m"}}}]}}
    done = api.patch(f"{running}/resize", wanted, "strategic")["spec"]["containers"][0]
    assert done["resources"]["requests"] == {"cpu": "200m"}
    assert done["image"] == "x"
