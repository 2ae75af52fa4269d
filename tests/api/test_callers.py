"""Who calls: certificates, tokens, impersonation, anonymous callers."""

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import jwt
import pytest

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api, Object
from tests.api.objects import pod

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def who(api: Api, headers: dict[str, str] | None = None) -> Object:
    found = api.ask("POST", REVIEW, {"kind": "SelfSubjectReview"}, expect=201, headers=headers or {})
    info: Object = found["status"]["userInfo"]
    return info


@contextmanager
def with_token(cluster: Cluster, token: str) -> Iterator[Api]:
    context = ssl.create_default_context(cafile=cluster.pki / "ca.crt")
    with httpx.Client(base_url=cluster.url, verify=context, headers={"authorization": f"Bearer {token}"}) as client:
        yield Api(client)


def test_a_certificate_says_who_calls(api: Api) -> None:
    found = who(api)
    assert found["username"] == "kubernetes-admin"
    assert found["groups"] == ["system:masters", "system:authenticated"]


def test_anonymous_callers_see_health_version_and_what_bootstrap_discovery_needs(cluster: Cluster, api: Api) -> None:
    space = "/api/v1/namespaces/kube-public/configmaps"
    api.post(space, {"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "{}"}})
    with connect(cluster, "") as client:
        assert client.get(f"{space}/cluster-info").json()["data"] == {"kubeconfig": "{}"}
        for asked in ("", "/other", "?watch=1&fieldSelector=metadata.name=cluster-info"):
            assert client.get(f"{space}{asked}").status_code == 403, asked
        for path in ("/healthz", "/livez", "/readyz", "/version"):
            assert client.get(path).status_code == 200, path
        for path in ("/api", "/apis", "/metrics", "/openapi/v3", "/api/v1/namespaces", "/openid/v1/jwks"):
            assert client.get(path).status_code == 403, path
        refused = client.get("/api/v1/namespaces/x/pods").json()
        assert refused["message"] == (
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "x"'
        )
    api.delete(f"{space}/cluster-info")


def test_a_wrong_token_is_unauthorized_even_where_anonymous_callers_may_go(cluster: Cluster) -> None:
    with with_token(cluster, "nonsense") as caller:
        refused = caller.ask("GET", "/version", expect=401)
        assert (refused["reason"], refused["message"]) == ("Unauthorized", "Unauthorized")


def test_a_requested_token_is_its_accounts_and_nothing_more(
    cluster: Cluster, api: Api, core: str, namespace: str
) -> None:
    request = {"spec": {"expirationSeconds": 700}}
    answer = api.post(f"{core}/serviceaccounts/default/token", request)
    assert answer["kind"] == "TokenRequest"
    assert answer["status"]["expirationTimestamp"]
    with with_token(cluster, answer["status"]["token"]) as caller:
        assert who(caller)["username"] == f"system:serviceaccount:{namespace}:default"
        caller.get(f"{core}/pods", expect=403)


def test_a_token_request_is_checked(api: Api, core: str) -> None:
    path = f"{core}/serviceaccounts/default/token"
    refused = api.post(path, {"spec": {"expirationSeconds": 60}}, expect=422)
    assert refused["details"]["causes"][0]["field"] == "spec.expirationSeconds"
    assert "may not specify a duration less than 10 minutes" in refused["message"]
    api.post(f"{core}/serviceaccounts/nobody/token", {"spec": {}}, expect=404)
    missing = {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "gone"}}}
    api.post(path, missing, expect=404)


def test_a_token_bound_to_a_pod_ends_with_the_pod(cluster: Cluster, api: Api, core: str, namespace: str) -> None:
    made = api.post(f"{core}/pods", pod("p"))
    other = {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "another"}
    api.post(f"{core}/serviceaccounts/default/token", {"spec": {"boundObjectRef": other}}, expect=409)
    bound = other | {"uid": made["metadata"]["uid"]}
    answer = api.post(f"{core}/serviceaccounts/default/token", {"spec": {"boundObjectRef": bound}})
    token = answer["status"]["token"]
    with with_token(cluster, token) as caller:
        extra = who(caller)["extra"]
        assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    api.delete(f"{core}/pods/p", gracePeriodSeconds=0)
    reviewed = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token, "audiences": ["x"]}})
    assert "authenticated" not in reviewed["status"]


def test_a_token_review_tells_whose_a_token_is(api: Api, core: str, namespace: str) -> None:
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    token = api.post(f"{core}/serviceaccounts/default/token", {"spec": {"audiences": ["vault"]}})["status"]["token"]
    good = api.post(path, {"spec": {"token": token, "audiences": ["vault", "x"]}})["status"]
    assert good["authenticated"] is True
    assert good["audiences"] == ["vault"]
    assert good["user"]["username"] == f"system:serviceaccount:{namespace}:default"
    bad = api.post(path, {"spec": {"token": token}})["status"]
    assert not bad.get("authenticated") and "audiences" in bad["error"]


def test_the_issuers_keys_verify_its_tokens(cluster: Cluster, api: Api, core: str) -> None:
    token = api.post(f"{core}/serviceaccounts/default/token", {"spec": {}})["status"]["token"]
    with with_token(cluster, token) as caller:
        configuration = caller.get("/.well-known/openid-configuration")
        keys = jwt.PyJWKSet.from_dict(caller.get("/openid/v1/jwks"))
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, algorithms=["RS256"], audience=configuration["issuer"], issuer=configuration["issuer"]
    )
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "default"


def test_a_bootstrap_token_makes_certificate_requests_and_nothing_else(cluster: Cluster, api: Api) -> None:
    fields = {"token-id": "abc123", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    path = "/api/v1/namespaces/kube-system/secrets"
    api.post(
        path, {"metadata": {"name": "bootstrap-token-abc123"}, "type": "bootstrap.kubernetes.io/token", "data": data}
    )
    try:
        with with_token(cluster, "abc123.0123456789abcdef") as caller:
            assert caller.get("/api/v1/namespaces", expect=403)["message"].startswith(
                'namespaces is forbidden: User "system:bootstrap:abc123"'
            )
            caller.get("/apis")
    finally:
        api.delete(f"{path}/bootstrap-token-abc123")
    with with_token(cluster, "abc123.0123456789abcdee") as caller:
        caller.ask("GET", "/apis", expect=401)


def test_who_may_impersonate_acts_as_somebody_else(api: Api) -> None:
    headers = {"impersonate-user": "alice", "impersonate-group": "devs"}
    found = who(api, headers)
    assert (found["username"], found["groups"]) == ("alice", ["devs", "system:authenticated"])
    refused = api.ask("GET", "/api/v1/nodes", expect=403, headers=headers)
    assert (
        refused["message"]
        == 'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope'
    )


def test_who_may_not_impersonate_is_told_so(cluster: Cluster) -> None:
    with connect(cluster, "kube-scheduler") as client:
        refused = Api(client).ask("GET", "/api/v1/nodes", expect=403, headers={"impersonate-user": "root"})
        assert (
            'users "root" is forbidden: User "system:kube-scheduler" cannot impersonate resource "users"'
            in refused["message"]
        )


@pytest.mark.parametrize(
    "name", ["kube-scheduler", "kube-controller-manager", "kube-proxy", "cloud-controller-manager"]
)
def test_every_component_may_list_what_it_watches(cluster: Cluster, name: str) -> None:
    wanted = {
        "kube-scheduler": ("/api/v1/pods", "/api/v1/nodes", "/apis/storage.k8s.io/v1/storageclasses"),
        "kube-controller-manager": ("/api/v1/pods", "/api/v1/secrets", "/apis/apps/v1/deployments"),
        "kube-proxy": ("/api/v1/services", "/api/v1/nodes", "/apis/discovery.k8s.io/v1/endpointslices"),
        "cloud-controller-manager": ("/api/v1/services", "/api/v1/nodes", "/api/v1/persistentvolumes"),
    }
    with connect(cluster, name) as client:
        for path in wanted[name]:
            assert client.get(path).status_code == 200, path
        if name not in ("kube-controller-manager",):
            assert client.get("/api/v1/secrets").status_code == 403
