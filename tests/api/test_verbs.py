"""create, get, update, delete, deletecollection: what each promises."""

import pytest

from tests.api.http import Api
from tests.api.objects import configmap, deployment, pod


def test_create_sets_what_the_server_sets(api: Api, core: str, namespace: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a", k="v"))
    meta = made["metadata"]
    assert made["kind"] == "ConfigMap" and made["apiVersion"] == "v1" and made["data"] == {"k": "v"}
    assert meta["namespace"] == namespace and len(meta["uid"]) == 36
    assert meta["creationTimestamp"].endswith("Z") and int(meta["resourceVersion"]) > 0
    shown = api.get(f"{core}/configmaps/a")
    assert shown == made


def test_create_of_a_taken_name_is_already_exists(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))
    status = api.post(f"{core}/configmaps", configmap("a"), expect=409)
    assert status["kind"] == "Status" and status["reason"] == "AlreadyExists" and status["code"] == 409
    assert status["message"] == 'configmaps "a" already exists' and status["details"] == {
        "name": "a",
        "kind": "configmaps",
    }


def test_generate_name_makes_a_new_name_each_time(api: Api, core: str) -> None:
    body = {"metadata": {"generateName": "part-"}}
    names = {api.post(f"{core}/configmaps", body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3 and all(name.startswith("part-") and len(name) == 10 for name in names)


def test_an_object_without_any_name_is_invalid(api: Api, core: str) -> None:
    status = api.post(f"{core}/configmaps", {"metadata": {}}, expect=422)
    assert status["reason"] == "Invalid" and status["details"]["causes"][0]["field"] == "metadata.name"


def test_get_of_a_missing_object_is_not_found(api: Api, core: str) -> None:
    status = api.get(f"{core}/configmaps/nope", expect=404)
    assert status["reason"] == "NotFound" and status["message"] == 'configmaps "nope" not found'


def test_an_unknown_resource_is_not_found(api: Api, core: str) -> None:
    status = api.get(f"{core}/gadgets", expect=404)
    assert status["message"] == "the server could not find the requested resource"
    assert api.get("/apis/nope.example.com/v1", expect=404)["code"] == 404


def test_the_namespace_of_the_path_and_the_object_must_agree(api: Api, core: str) -> None:
    body = configmap("a")
    body["metadata"]["namespace"] = "elsewhere"
    assert api.post(f"{core}/configmaps", body, expect=400)["reason"] == "BadRequest"


def test_a_body_of_another_kind_is_a_bad_request(api: Api, core: str) -> None:
    assert api.post(f"{core}/configmaps", {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}, expect=400)
    assert api.post(f"{core}/configmaps", {"apiVersion": "v9", "metadata": {"name": "a"}}, expect=400)


def test_wrong_json_is_a_bad_request(api: Api, core: str) -> None:
    response = api.client.post(f"{core}/configmaps", content=b"{not json")
    assert response.status_code == 400 and response.json()["reason"] == "BadRequest"


def test_an_oversized_body_is_refused(api: Api, core: str) -> None:
    response = api.client.post(f"{core}/configmaps", content=b" " * (3 * 1024 * 1024 + 1))
    assert response.status_code == 413 and response.json()["reason"] == "RequestEntityTooLarge"


def test_a_foreign_content_type_is_unsupported(api: Api, core: str) -> None:
    response = api.client.post(f"{core}/configmaps", content=b"x", headers={"content-type": "image/png"})
    assert response.status_code == 415 and response.json()["reason"] == "UnsupportedMediaType"


def test_yaml_is_taken_and_no_content_type_is_json(api: Api, core: str) -> None:
    text = "metadata: {name: a}\ndata:\n  day: '2026-01-01'\n"
    response = api.client.post(f"{core}/configmaps", content=text, headers={"content-type": "application/yaml"})
    assert response.status_code == 201 and response.json()["data"] == {"day": "2026-01-01"}
    response = api.client.post(f"{core}/configmaps", content=b'{"metadata":{"name":"b"}}')
    assert response.status_code == 201


def test_yaml_is_served_when_asked_for(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a", k="v"))
    response = api.client.get(f"{core}/configmaps/a", headers={"accept": "application/yaml"})
    assert response.headers["content-type"] == "application/yaml" and "\ndata:\n  k: v\n" in f"\n{response.text}"


def test_update_with_an_old_version_is_a_conflict(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a", k="1"))
    newer = api.put(f"{core}/configmaps/a", made | {"data": {"k": "2"}})
    assert int(newer["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    status = api.put(f"{core}/configmaps/a", made | {"data": {"k": "3"}}, expect=409)
    assert status["reason"] == "Conflict" and "the object has been modified" in status["message"]
    assert api.get(f"{core}/configmaps/a")["data"] == {"k": "2"}


def test_update_without_a_version_wins(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a", k="1"))
    changed = api.put(f"{core}/configmaps/a", configmap("a", k="2"))
    assert changed["data"] == {"k": "2"} and changed["metadata"]["uid"] == made["metadata"]["uid"]


def test_an_update_that_changes_nothing_keeps_the_version(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a", k="1"))
    assert api.put(f"{core}/configmaps/a", made)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_update_of_a_missing_object_is_not_found_but_for_kinds_that_may_be_created_so(api: Api, namespace: str) -> None:
    api.put(f"/api/v1/namespaces/{namespace}/configmaps/a", configmap("a"), expect=404)
    lease = {"metadata": {"name": "a"}, "spec": {"holderIdentity": "me"}}
    api.put(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/a", lease, expect=201)


def test_update_with_another_uid_is_a_conflict(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))
    body = configmap("a")
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    assert "Precondition failed: UID" in api.put(f"{core}/configmaps/a", body, expect=409)["message"]


def test_the_name_of_path_and_object_must_agree(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a"))
    assert api.put(f"{core}/configmaps/a", configmap("b"), expect=400)["reason"] == "BadRequest"


def test_dry_run_stores_nothing(api: Api, core: str) -> None:
    assert api.post(f"{core}/configmaps", configmap("a", k="1"), dryRun="All")["data"] == {"k": "1"}
    api.get(f"{core}/configmaps/a", expect=404)
    api.post(f"{core}/configmaps", configmap("a", k="1"))
    assert api.put(f"{core}/configmaps/a", configmap("a", k="2"), dryRun="All")["data"] == {"k": "2"}
    api.delete(f"{core}/configmaps/a", dryRun="All")
    assert api.get(f"{core}/configmaps/a")["data"] == {"k": "1"}
    api.post(f"{core}/configmaps", configmap("b"), expect=422, dryRun="Some")


def test_unknown_fields_warn_and_strict_refuses_them(api: Api, core: str) -> None:
    body = configmap("a") | {"colour": "red"}
    status = api.post(f"{core}/configmaps", body, expect=400, fieldValidation="Strict")
    assert 'strict decoding error: unknown field "colour"' in status["message"]
    response = api.client.post(f"{core}/configmaps", json=body)
    assert response.status_code == 201 and 'unknown field \\"colour\\"' in response.headers["warning"]
    assert "colour" not in response.json()


def test_duplicate_fields_are_named_by_path(api: Api, core: str) -> None:
    text = '{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
    response = api.client.post(f"{core}/configmaps", content=text, params={"fieldValidation": "Strict"})
    assert response.status_code == 400 and 'duplicate field "data.k"' in response.json()["message"]


def test_every_wrong_field_is_named_at_once(api: Api, core: str) -> None:
    body = pod("a", restartPolicy="Sometimes", containers=[{"name": "Bad_Name", "image": "x"}])
    status = api.post(f"{core}/pods", body, expect=422)
    fields = {cause["field"] for cause in status["details"]["causes"]}
    assert status["reason"] == "Invalid" and {"spec.restartPolicy", "spec.containers[0].name"} <= fields


def test_delete_answers_with_success_and_the_object_is_gone(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a"))
    status = api.delete(f"{core}/configmaps/a")
    assert status["status"] == "Success" and status["details"]["uid"] == made["metadata"]["uid"]
    api.get(f"{core}/configmaps/a", expect=404)
    api.delete(f"{core}/configmaps/a", expect=404)


def test_delete_preconditions_guard(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a"))
    api.delete(f"{core}/configmaps/a", {"preconditions": {"uid": "other"}}, expect=409)
    api.delete(f"{core}/configmaps/a", {"preconditions": {"resourceVersion": "1"}}, expect=409)
    api.delete(f"{core}/configmaps/a", {"preconditions": {"uid": made["metadata"]["uid"]}})


def test_a_finalizer_keeps_a_deleted_object_until_it_is_taken_away(api: Api, core: str) -> None:
    body = configmap("a")
    body["metadata"]["finalizers"] = ["example.com/wait"]
    api.post(f"{core}/configmaps", body)
    marked = api.delete(f"{core}/configmaps/a")
    assert marked["metadata"]["deletionTimestamp"] and marked["kind"] == "ConfigMap"
    again = api.delete(f"{core}/configmaps/a")
    assert again["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    api.patch(f"{core}/configmaps/a", {"metadata": {"finalizers": None}})
    api.get(f"{core}/configmaps/a", expect=404)


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_becomes_a_finalizer(api: Api, apps: str, policy: str, finalizer: str) -> None:
    api.post(f"{apps}/deployments", deployment("d"))
    code = 202 if policy == "Foreground" else 200
    marked = api.delete(f"{apps}/deployments/d", {"propagationPolicy": policy}, expect=code)
    assert marked["metadata"]["finalizers"] == [finalizer]
    api.patch(f"{apps}/deployments/d", {"metadata": {"finalizers": []}})


def test_a_bound_pod_is_deleted_with_grace(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("a", nodeName="node-1", terminationGracePeriodSeconds=7))
    marked = api.delete(f"{core}/pods/a")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7 and marked["metadata"]["generation"] == 2
    shorter = api.delete(f"{core}/pods/a", gracePeriodSeconds=3)
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 3
    api.delete(f"{core}/pods/a", gracePeriodSeconds=0)
    api.get(f"{core}/pods/a", expect=404)


def test_a_pod_that_runs_nowhere_goes_at_once(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("a"))
    assert api.delete(f"{core}/pods/a")["kind"] == "Pod"
    api.get(f"{core}/pods/a", expect=404)


def test_deletecollection_deletes_what_the_selector_holds(api: Api, core: str) -> None:
    for name, team in (("a", "x"), ("b", "x"), ("c", "y")):
        api.post(f"{core}/configmaps", configmap(name, {"team": team}))
    gone = api.delete(f"{core}/configmaps", labelSelector="team=x")
    assert gone["kind"] == "ConfigMapList" and len(gone["items"]) == 2
    left = api.get(f"{core}/configmaps", labelSelector="team")["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]


def test_methods_a_resource_does_not_have_are_not_allowed(api: Api, core: str) -> None:
    assert api.ask("POST", f"{core}/configmaps/a", {}, expect=405)["reason"] == "MethodNotAllowed"
    assert api.ask("PUT", f"{core}/configmaps", {}, expect=405)["reason"] == "MethodNotAllowed"


def test_generation_moves_with_the_spec_alone(api: Api, apps: str) -> None:
    made = api.post(f"{apps}/deployments", deployment("d"))
    assert made["metadata"]["generation"] == 1
    path = f"{apps}/deployments/d"
    assert api.patch(path, {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert api.patch(path, {"spec": {"replicas": 2}})["metadata"]["generation"] == 2
    assert api.patch(f"{path}/status", {"status": {"replicas": 2}})["metadata"]["generation"] == 2


def test_spec_and_status_are_written_apart(api: Api, apps: str) -> None:
    api.post(f"{apps}/deployments", deployment("d") | {"status": {"replicas": 9}})
    path = f"{apps}/deployments/d"
    assert api.get(path)["status"].get("replicas", 0) == 0
    assert api.patch(path, {"status": {"replicas": 9}})["status"].get("replicas", 0) == 0
    changed = api.patch(f"{path}/status", {"status": {"replicas": 1}, "spec": {"replicas": 7}})
    assert changed["status"]["replicas"] == 1 and changed["spec"]["replicas"] == 1
    assert api.get(f"{path}/status")["status"]["replicas"] == 1


def test_scale_reads_and_writes_replicas(api: Api, apps: str) -> None:
    api.post(f"{apps}/deployments", deployment("d", 2))
    path = f"{apps}/deployments/d/scale"
    scale = api.get(path)
    assert scale["kind"] == "Scale" and scale["apiVersion"] == "autoscaling/v1"
    assert scale["spec"] == {"replicas": 2} and scale["status"] == {"replicas": 0, "selector": "app=d"}
    scale["spec"]["replicas"] = 5
    assert api.put(path, scale)["spec"] == {"replicas": 5}
    assert api.patch(path, {"spec": {"replicas": 0}})["spec"] == {"replicas": 0}
    assert api.get(f"{apps}/deployments/d")["spec"]["replicas"] == 0
    assert api.patch(path, {"spec": {"replicas": -1}}, expect=422)["reason"] == "Invalid"


def test_a_namespace_is_emptied_before_it_goes(api: Api) -> None:
    made = api.post("/api/v1/namespaces", {"metadata": {"name": "passing"}})
    assert made["spec"]["finalizers"] == ["kubernetes"] and made["status"] == {"phase": "Active"}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "passing"}
    marked = api.delete("/api/v1/namespaces/passing")
    assert marked["status"]["phase"] == "Terminating" and marked["metadata"]["deletionTimestamp"]
    marked["spec"]["finalizers"] = []
    api.put("/api/v1/namespaces/passing/finalize", marked)
    api.get("/api/v1/namespaces/passing", expect=404)


def test_an_event_is_one_object_in_both_of_its_groups(api: Api, core: str, namespace: str) -> None:
    event = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "p"},
        "reason": "Tested",
        "message": "well",
        "type": "Normal",
        "source": {"component": "test"},
    }
    api.post(f"{core}/events", event)
    other = api.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/e")
    assert other["apiVersion"] == "events.k8s.io/v1" and other["note"] == "well" and other["regarding"]["name"] == "p"
    found = api.get(f"{core}/events", fieldSelector="involvedObject.name=p,source=test")["items"]
    assert [item["message"] for item in found] == ["well"]
