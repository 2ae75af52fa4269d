"""What a request line asks for."""

import pytest

from apiserver.request import RequestInfo, parse_info

CASES = [
    ("GET", "/healthz", {}, ("get", "", "", "", "", "", "")),
    ("GET", "/api", {}, ("get", "", "", "", "", "", "")),
    ("GET", "/api/v1", {}, ("get", "", "", "", "", "", "")),
    ("GET", "/apis/apps/v1", {}, ("get", "", "", "", "", "", "")),
    ("GET", "/api/v1/nodes", {}, ("list", "", "v1", "", "nodes", "", "")),
    ("GET", "/api/v1/nodes/n", {}, ("get", "", "v1", "", "nodes", "n", "")),
    ("GET", "/api/v1/namespaces", {}, ("list", "", "v1", "", "namespaces", "", "")),
    ("GET", "/api/v1/namespaces/a", {}, ("get", "", "v1", "a", "namespaces", "a", "")),
    ("PUT", "/api/v1/namespaces/a/status", {}, ("update", "", "v1", "a", "namespaces", "a", "status")),
    ("PUT", "/api/v1/namespaces/a/finalize", {}, ("update", "", "v1", "a", "namespaces", "a", "finalize")),
    ("GET", "/api/v1/namespaces/a/pods", {}, ("list", "", "v1", "a", "pods", "", "")),
    ("GET", "/api/v1/namespaces/a/pods", {"watch": "1"}, ("watch", "", "v1", "a", "pods", "", "")),
    ("GET", "/api/v1/namespaces/a/pods", {"watch": "false"}, ("list", "", "v1", "a", "pods", "", "")),
    ("GET", "/api/v1/watch/namespaces/a/pods", {}, ("watch", "", "v1", "a", "pods", "", "")),
    ("GET", "/api/v1/watch/namespaces/a/pods/p", {}, ("watch", "", "v1", "a", "pods", "p", "")),
    ("POST", "/api/v1/namespaces/a/pods", {}, ("create", "", "v1", "a", "pods", "", "")),
    ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", {}, ("patch", "apps", "v1", "a", "deployments", "d", "")),
    ("DELETE", "/api/v1/namespaces/a/pods/p", {}, ("delete", "", "v1", "a", "pods", "p", "")),
    ("DELETE", "/api/v1/namespaces/a/pods", {}, ("deletecollection", "", "v1", "a", "pods", "", "")),
    ("GET", "/api/v1/namespaces/a/pods/p/log", {}, ("get", "", "v1", "a", "pods", "p", "log")),
    ("POST", "/api/v1/namespaces/a/pods/p/exec", {}, ("create", "", "v1", "a", "pods", "p", "exec")),
    ("HEAD", "/api/v1/nodes/n", {}, ("get", "", "v1", "", "nodes", "n", "")),
]


@pytest.mark.parametrize(("method", "path", "query", "expected"), CASES)
def test_request_lines(method: str, path: str, query: dict[str, str], expected: tuple[str, ...]) -> None:
    assert parse_info(method, path, query) == RequestInfo(method, path, *expected)


def test_what_follows_a_proxy_is_kept() -> None:
    info = parse_info("GET", "/api/v1/namespaces/a/services/s/proxy/x/y", {})
    assert (info.subresource, info.rest) == ("proxy", "/x/y")
