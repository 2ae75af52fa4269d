"""patch: the three patch types, their errors, races."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.api.http import Api
from tests.api.objects import configmap, deployment, pod


def test_a_merge_patch_merges_and_null_deletes(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a", k="1", gone="x"))
    patched = api.patch(f"{core}/configmaps/a", {"data": {"k": "2", "gone": None, "new": "3"}})
    assert patched["data"] == {"k": "2", "new": "3"}


def test_a_json_patch_applies_all_or_nothing(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a", k="1"))
    good = [{"op": "test", "path": "/data/k", "value": "1"}, {"op": "add", "path": "/data/n", "value": "2"}]
    assert api.patch(f"{core}/configmaps/a", good, "json")["data"] == {"k": "1", "n": "2"}
    bad = [{"op": "remove", "path": "/data/n"}, {"op": "test", "path": "/data/k", "value": "7"}]
    assert api.patch(f"{core}/configmaps/a", bad, "json", expect=422)["reason"] == "Invalid"
    assert api.get(f"{core}/configmaps/a")["data"] == {"k": "1", "n": "2"}


def test_a_strategic_patch_merges_lists_by_their_key(api: Api, apps: str) -> None:
    api.post(f"{apps}/deployments", deployment("d"))
    patch = {
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "y"}, {"name": "c", "image": "z"}]}}}
    }
    containers = api.patch(f"{apps}/deployments/d", patch, "strategic")["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in containers} == {"c": "z", "side": "y"}
    patch = {"spec": {"template": {"spec": {"containers": [{"$patch": "delete", "name": "side"}]}}}}
    containers = api.patch(f"{apps}/deployments/d", patch, "strategic")["spec"]["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["c"]


def test_a_patch_of_a_foreign_type_is_unsupported(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))
    response = api.client.patch(f"{core}/configmaps/a", json={"data": {}})
    assert response.status_code == 415 and "application/merge-patch+json" in response.json()["message"]


def test_a_patch_with_an_old_version_is_a_conflict(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a"))
    api.patch(f"{core}/configmaps/a", {"data": {"k": "1"}})
    patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"k": "2"}}
    assert api.patch(f"{core}/configmaps/a", patch, expect=409)["reason"] == "Conflict"


def test_a_patch_may_not_change_the_name(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))
    api.patch(f"{core}/configmaps/a", {"metadata": {"name": "b"}}, expect=400)


def test_a_patch_that_breaks_the_rules_is_invalid(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("a"))
    assert api.patch(f"{core}/pods/a", {"spec": {"restartPolicy": "Never"}}, expect=422)["reason"] == "Invalid"


def test_a_status_patch_leaves_the_spec(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("a", nodeName="n1"))
    patch = {
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        "spec": {"nodeName": "x"},
    }
    patched = api.patch(f"{core}/pods/a/status", patch, "strategic")
    assert patched["status"]["phase"] == "Running" and patched["spec"]["nodeName"] == "n1"
    more = {"status": {"conditions": [{"type": "Initialized", "status": "True"}]}}
    conditions = api.patch(f"{core}/pods/a/status", more, "strategic")["status"]["conditions"]
    assert {c["type"] for c in conditions} == {"Ready", "Initialized"}


def test_patches_that_race_are_all_applied(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))

    def one(index: int) -> int:
        response = api.client.patch(
            f"{core}/configmaps/a",
            json={"data": {f"k{index}": "v"}},
            headers={"content-type": "application/merge-patch+json"},
        )
        return response.status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {200}
    assert len(api.get(f"{core}/configmaps/a")["data"]) == 24


def test_updates_that_race_lose_but_one(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a"))

    def one(index: int) -> httpx.Response:
        return api.client.put(f"{core}/configmaps/a", json=made | {"data": {"who": str(index)}})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    winners = [answer for answer in answers if answer.status_code == 200]
    assert len(winners) == 1 and {answer.status_code for answer in answers} == {200, 409}
    assert api.get(f"{core}/configmaps/a")["data"] == winners[0].json()["data"]


def test_a_patch_warns_about_unknown_fields(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))
    status = api.patch(f"{core}/configmaps/a", {"colour": "red"}, expect=400, fieldValidation="Strict")
    assert 'unknown field "colour"' in status["message"]
