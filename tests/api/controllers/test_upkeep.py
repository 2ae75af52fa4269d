"""The small controllers: budgets, quotas, tokens, aggregated roles."""

import base64

import httpx

from api import meta, resources
from tests.api.controllers.world import World, condition, status, workload


async def test_a_budget_says_how_many_pods_may_go(world: World) -> None:
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=3))
    body = {"metadata": {"name": "web"}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}}
    await world.create(resources.PODDISRUPTIONBUDGETS, body)
    found = await world.until(resources.PODDISRUPTIONBUDGETS, "web", lambda b: status(b).get("currentHealthy") == 3)
    assert {k: v for k, v in status(found).items() if isinstance(v, int)} == {
        "currentHealthy": 3, "desiredHealthy": 2, "disruptionsAllowed": 1, "expectedPods": 3, "observedGeneration": 1,
    }  # fmt: skip
    assert condition(found, "DisruptionAllowed") == "True/SufficientPods"
    await world.patch(resources.PODDISRUPTIONBUDGETS, "web", {"spec": {"minAvailable": None, "maxUnavailable": 0}})
    await world.until(
        resources.PODDISRUPTIONBUDGETS, "web", lambda b: condition(b, "DisruptionAllowed") == "False/InsufficientPods"
    )


async def test_a_quota_counts_what_comes_and_goes(world: World) -> None:
    hard = {"pods": "5", "requests.cpu": "2", "services": "2", "count/deployments.apps": "3", "configmaps": "10"}
    await world.create(resources.RESOURCEQUOTAS, {"metadata": {"name": "all"}, "spec": {"hard": hard}})
    first = await world.until(resources.RESOURCEQUOTAS, "all", lambda q: status(q).get("used"))
    assert status(first)["hard"] == hard
    body = workload("web", replicas=2)
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "250m"}}
    await world.create(resources.DEPLOYMENTS, body)
    await world.create(resources.SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    full = {"pods": "2", "requests.cpu": "500m", "services": "1", "count/deployments.apps": "1"}
    await world.until(resources.RESOURCEQUOTAS, "all", lambda q: status(q)["used"].items() >= full.items())
    await world.delete(resources.DEPLOYMENTS, "web", "Background")
    await world.delete(resources.SERVICES, "web")
    empty = {"pods": "0", "requests.cpu": "0", "services": "0", "count/deployments.apps": "0"}
    await world.until(resources.RESOURCEQUOTAS, "all", lambda q: status(q)["used"].items() >= empty.items())


async def test_a_token_secret_is_filled_and_goes_with_its_account(world: World, anonymous: httpx.AsyncClient) -> None:
    await world.create(resources.SERVICEACCOUNTS, {"metadata": {"name": "robot"}})
    notes = {"kubernetes.io/service-account.name": "robot"}
    body = {"metadata": {"name": "robot", "annotations": notes}, "type": "kubernetes.io/service-account-token"}
    await world.create(resources.SECRETS, body)
    secret = await world.until(resources.SECRETS, "robot", lambda s: (s.get("data") or {}).get("token"))
    assert base64.b64decode(secret["data"]["namespace"]).decode() == world.namespace
    token = base64.b64decode(secret["data"]["token"]).decode()
    answer = await anonymous.post(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}, headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"]["userInfo"]["username"] == f"system:serviceaccount:{world.namespace}:robot"
    await world.delete(resources.SERVICEACCOUNTS, "robot")
    await world.until_gone(resources.SECRETS, "robot")


async def test_roles_are_aggregated(world: World) -> None:
    label = f"test/{world.namespace}"
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    whole = {
        "metadata": {"name": f"{world.namespace}-all"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label: "yes"}}]},
    }
    part = {"metadata": {"name": f"{world.namespace}-part", "labels": {label: "yes"}}, "rules": [rule]}
    await world.create(resources.CLUSTERROLES, whole)
    await world.create(resources.CLUSTERROLES, part)
    await world.until(resources.CLUSTERROLES, f"{world.namespace}-all", lambda r: r.get("rules") == [rule])
    await world.delete(resources.CLUSTERROLES, f"{world.namespace}-part")
    await world.until(resources.CLUSTERROLES, f"{world.namespace}-all", lambda r: not r.get("rules"))
    await world.delete(resources.CLUSTERROLES, f"{world.namespace}-all")


async def test_an_unscheduled_pod_is_removed(world: World) -> None:
    spec = workload("x")["spec"]["template"]["spec"]
    pod = {"metadata": {"name": "never", "annotations": {"stage/hold": "", "stage/linger": ""}}, "spec": spec}
    await world.create(resources.PODS, pod)
    await world.delete(resources.PODS, "never")
    await world.until_gone(resources.PODS, "never")


async def test_everything_has_the_right_source(world: World) -> None:
    await world.create(resources.DEPLOYMENTS, workload("web", replicas=1))
    event = await world.event("web", "ScalingReplicaSet")
    assert event["source"]["component"] == event["reportingComponent"] == "deployment-controller"
    assert event["involvedObject"]["kind"] == "Deployment" and event["involvedObject"]["apiVersion"] == "apps/v1"
    assert meta.namespace(event) == world.namespace
