"""What admission completes and what it refuses."""

import base64
import secrets

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api, Object
from tests.api.objects import configmap, pod

SCHEDULING = "/apis/scheduling.k8s.io/v1/priorityclasses"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def test_nothing_is_made_in_a_missing_namespace(api: Api) -> None:
    refused = api.post("/api/v1/namespaces/nowhere/configmaps", configmap("c"), expect=404)
    assert refused["message"] == 'namespaces "nowhere" not found'


def test_nothing_is_made_in_a_namespace_that_is_going(api: Api) -> None:
    name = unique("going")
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{name}"
    api.post(f"{path}/configmaps", configmap("c"))
    api.delete(path)
    refused = api.post(f"{path}/configmaps", configmap("d"), expect=403)
    assert "because it is being terminated" in refused["message"]
    assert refused["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    api.delete(f"{path}/configmaps/c")


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_never_go(api: Api, name: str) -> None:
    refused = api.delete(f"/api/v1/namespaces/{name}", expect=403)
    assert refused["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_a_pod_gets_its_account_and_a_token(api: Api, core: str) -> None:
    made = api.post(f"{core}/pods", pod("p"))["spec"]
    assert made["serviceAccountName"] == made["serviceAccount"] == "default"
    volume = made["volumes"][0]
    assert volume["name"].startswith("kube-api-access-")
    token, ca, namespace = volume["projected"]["sources"]
    assert token["serviceAccountToken"] == {"expirationSeconds": 3607, "path": "token"}
    assert ca["configMap"]["name"] == "kube-root-ca.crt"
    assert namespace["downwardAPI"]["items"][0]["path"] == "namespace"
    mount = made["containers"][0]["volumeMounts"][0]
    assert mount == {"name": volume["name"], "readOnly": True, "mountPath": TOKEN_PATH}


@pytest.mark.parametrize(("account", "in_pod", "mounted"), [
    (None, None, True), (False, None, False), (False, True, True), (True, False, False),
])  # fmt: skip
def test_the_pods_word_on_mounting_a_token_counts_before_its_accounts(
    api: Api, core: str, account: bool | None, in_pod: bool | None, mounted: bool
) -> None:
    body: Object = {"metadata": {"name": "bot"}, "imagePullSecrets": [{"name": "registry"}]}
    if account is not None:
        body["automountServiceAccountToken"] = account
    api.post(f"{core}/serviceaccounts", body)
    spec: Object = {"serviceAccountName": "bot"}
    if in_pod is not None:
        spec["automountServiceAccountToken"] = in_pod
    made = api.post(f"{core}/pods", pod("p", **spec))["spec"]
    assert bool(made.get("volumes")) is mounted
    assert made["imagePullSecrets"] == [{"name": "registry"}]


def test_a_pod_of_a_missing_account_is_refused(api: Api, core: str, namespace: str) -> None:
    refused = api.post(f"{core}/pods", pod("p", serviceAccountName="nobody"), expect=403)
    assert refused["message"] == (
        f'pods "p" is forbidden: error looking up service account {namespace}/nobody: serviceaccount "nobody" not found'
    )


def test_a_pod_tolerates_a_node_that_is_gone_for_five_minutes(api: Api, core: str) -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 7}
    made = api.post(f"{core}/pods", pod("p", tolerations=[own]))["spec"]["tolerations"]
    assert [(t["key"], t["tolerationSeconds"]) for t in made] == [
        ("node.kubernetes.io/not-ready", 7),
        ("node.kubernetes.io/unreachable", 300),
    ]


def test_a_priority_class_becomes_a_number(api: Api, core: str) -> None:
    name = unique("high")
    api.post(SCHEDULING, {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"})
    made = api.post(f"{core}/pods", pod("p", priorityClassName=name))["spec"]
    assert (made["priority"], made["preemptionPolicy"]) == (1000, "Never")
    assert api.post(f"{core}/pods", pod("q"))["spec"]["priority"] == 0
    assert (
        api.post(f"{core}/pods", pod("s", priorityClassName="system-node-critical"))["spec"]["priority"] == 2000001000
    )
    refused = api.post(f"{core}/pods", pod("r", priorityClassName="none-such"), expect=403)
    assert refused["message"] == 'pods "r" is forbidden: no PriorityClass with name none-such was found'
    api.post(f"{core}/pods", pod("t", priorityClassName=name, priority=5), expect=403)
    api.delete(f"{SCHEDULING}/{name}")


def test_a_claim_gets_the_default_storage_class_and_its_protection(api: Api, core: str) -> None:
    name = unique("fast")
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    api.post(STORAGE, {"metadata": {"name": name, "annotations": annotations}, "provisioner": "example.com/disk"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    try:
        made = api.post(f"{core}/persistentvolumeclaims", {"metadata": {"name": "c"}, "spec": spec})
        assert made["spec"]["storageClassName"] == name
        assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        none = api.post(
            f"{core}/persistentvolumeclaims", {"metadata": {"name": "d"}, "spec": spec | {"storageClassName": ""}}
        )
        assert none["spec"]["storageClassName"] == ""
    finally:
        api.delete(f"{STORAGE}/{name}")


def limit_range(*items: Object) -> Object:
    return {"metadata": {"name": "limits"}, "spec": {"limits": list(items)}}


def test_a_limit_range_fills_in_what_containers_leave_open(api: Api, core: str) -> None:
    item = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m", "memory": "64Mi"}}
    api.post(f"{core}/limitranges", limit_range(item))
    made = api.post(f"{core}/pods", pod("p"))
    resources = made["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"
    )
    assert made["status"]["qosClass"] == "Burstable"


def test_a_limit_range_names_every_bound_that_is_broken(api: Api, core: str) -> None:
    item = {"type": "Container", "min": {"cpu": "100m"}, "max": {"memory": "1Gi"}}
    api.post(f"{core}/limitranges", limit_range(item))
    body = pod("p")
    body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "50m"}, "limits": {"memory": "2Gi"}}
    refused = api.post(f"{core}/pods", body, expect=403)
    assert "minimum cpu usage per Container is 100m, but request is 50m" in refused["message"]
    assert "maximum memory usage per Container is 1Gi, but limit is 2Gi" in refused["message"]


def with_quota(api: Api, core: str, hard: dict[str, str], **spec: object) -> None:
    """A quota as the controller leaves it: counted, nothing used."""
    api.post(f"{core}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard} | spec})
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    api.patch(f"{core}/resourcequotas/q/status", {"status": status})


def test_a_quota_holds(api: Api, core: str) -> None:
    with_quota(api, core, {"configmaps": "2"})
    for name in ("a", "b"):
        api.post(f"{core}/configmaps", configmap(name))
    refused = api.post(f"{core}/configmaps", configmap("c"), expect=403)
    assert refused["message"] == (
        'configmaps "c" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=2, limited: configmaps=2'
    )
    assert api.get(f"{core}/resourcequotas/q")["status"]["used"] == {"configmaps": "2"}


def test_a_write_that_fails_or_is_only_tried_uses_no_quota(api: Api, core: str) -> None:
    with_quota(api, core, {"configmaps": "5"})
    api.post(f"{core}/configmaps", configmap("a"))
    api.post(f"{core}/configmaps", configmap("a"), expect=409)
    api.post(f"{core}/configmaps", configmap("b"), dryRun="All")
    assert api.get(f"{core}/resourcequotas/q")["status"]["used"] == {"configmaps": "1"}


def test_a_pod_must_say_what_a_quota_limits(api: Api, core: str) -> None:
    with_quota(api, core, {"pods": "5", "limits.cpu": "1", "requests.memory": "1Gi"})
    refused = api.post(f"{core}/pods", pod("p"), expect=403)
    assert refused["message"].endswith("failed quota: q: must specify limits.cpu for: c; requests.memory for: c")
    body = pod("p")
    body["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "600m", "memory": "128Mi"}}
    api.post(f"{core}/pods", body)
    used = api.get(f"{core}/resourcequotas/q")["status"]["used"]
    assert used == {"pods": "1", "limits.cpu": "600m", "requests.memory": "128Mi"}
    body["metadata"]["name"] = "p2"
    refused = api.post(f"{core}/pods", body, expect=403)
    assert "requested: limits.cpu=600m, used: limits.cpu=600m, limited: limits.cpu=1" in refused["message"]


def test_a_quota_counts_only_what_is_in_its_scope(api: Api, core: str) -> None:
    with_quota(api, core, {"pods": "1"}, scopes=["BestEffort"])
    guaranteed = pod("g")
    guaranteed["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1", "memory": "1Mi"}}
    api.post(f"{core}/pods", guaranteed)
    api.post(f"{core}/pods", pod("b"))
    api.post(f"{core}/pods", pod("c"), expect=403)


def secured(api: Api, **labels: str) -> str:
    name = unique("secured")
    meta = {"name": name, "labels": {f"pod-security.kubernetes.io/{mode}": level for mode, level in labels.items()}}
    api.post("/api/v1/namespaces", {"metadata": meta})
    api.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    return f"/api/v1/namespaces/{name}"


def test_pod_security_enforces_the_namespaces_level(api: Api) -> None:
    core = secured(api, enforce="baseline")
    api.post(f"{core}/pods", pod("plain"))
    refused = api.post(f"{core}/pods", pod("host", hostNetwork=True, hostPID=True), expect=403)
    assert (
        refused["message"]
        == (
            'pods "host" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true, hostPID=true)'
        )
        or "hostPort" in refused["message"]
    )
    mounted = pod("mounted", volumes=[{"name": "v", "hostPath": {"path": "/"}}])
    assert 'hostPath volumes (volume "v")' in api.post(f"{core}/pods", mounted, expect=403)["message"]
    privileged = pod("privileged")
    privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    assert 'privileged (container "c" must not set' in api.post(f"{core}/pods", privileged, expect=403)["message"]
    api.delete(core)


def test_the_restricted_level_names_all_that_is_missing(api: Api) -> None:
    core = secured(api, enforce="restricted")
    refused = api.post(f"{core}/pods", pod("p"), expect=403)["message"]
    for said in (
        "allowPrivilegeEscalation != false",
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ):
        assert said in refused
    good = pod("p", securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}})
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    good["spec"]["containers"][0]["securityContext"] = context
    api.post(f"{core}/pods", good)
    api.delete(core)


def test_the_warn_level_warns_and_lets_pass(api: Api) -> None:
    core = secured(api, warn="restricted")
    response = api.client.post(f"{core}/pods", json=pod("p"))
    assert response.status_code == 201
    assert "would violate PodSecurity" in response.headers["warning"]
    api.delete(core)


def request_for(name: str, *groups: str, signer: str = "kubernetes.io/kube-apiserver-client") -> Object:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"request": pem, "signerName": signer, "usages": ["client auth"], "username": "forged", "groups": ["forged"]}
    return {"metadata": {"name": name}, "spec": spec}


def test_a_certificate_request_carries_who_really_asks(api: Api) -> None:
    name = unique("csr")
    made = api.post(REQUESTS, request_for(name))
    assert made["spec"]["username"] == "kubernetes-admin"
    assert made["spec"]["groups"] == ["system:masters", "system:authenticated"]
    api.delete(f"{REQUESTS}/{name}")


def test_nobody_asks_for_a_certificate_of_the_masters(api: Api) -> None:
    refused = api.post(REQUESTS, request_for(unique("csr"), "system:masters"), expect=403)
    assert (
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        in refused["message"]
    )


def approved(found: Object, kind: str = "Approved") -> Object:
    condition = {"type": kind, "status": "True", "reason": "Test", "message": "said so"}
    return found | {"status": {"conditions": [condition]}}


def test_who_may_approve_for_a_signer_approves_and_nobody_undoes_it(api: Api, cluster: Cluster) -> None:
    name = unique("csr")
    api.post(REQUESTS, request_for(name))
    path = f"{REQUESTS}/{name}"
    with connect(cluster, "kube-controller-manager") as client:
        refused = Api(client).put(f"{path}/approval", approved(api.get(path)), expect=403)
        assert (
            'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"'
            in refused["message"]
        )
    done = api.put(f"{path}/approval", approved(api.get(path)))
    assert done["status"]["conditions"][0]["type"] == "Approved"
    assert done["status"]["conditions"][0]["lastTransitionTime"]
    api.put(f"{path}/approval", approved(done, "Denied"), expect=422)
    api.put(f"{path}/approval", done | {"status": {}}, expect=422)
    with connect(cluster, "kube-scheduler") as client:
        Api(client).patch(f"{path}/status", {"status": {"certificate": "Zm9v"}}, expect=403)
    api.delete(path)


def test_a_node_begins_unschedulable(api: Api) -> None:
    name = unique("node")
    made = api.post("/api/v1/nodes", {"metadata": {"name": name}})
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    api.delete(f"/api/v1/nodes/{name}")
