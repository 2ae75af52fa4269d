"""Server-side apply and managedFields: who owns what."""

from tests.api.http import Api, Object
from tests.api.objects import configmap, deployment


def apply(api: Api, path: str, body: Object, manager: str = "one", *, expect: int = 200, **params: str) -> Object:
    return api.patch(path, body, "apply", expect=expect, fieldManager=manager, **params)


def owners(obj: Object) -> dict[tuple[str, str], Object]:
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in obj["metadata"].get("managedFields", ())}


def test_apply_creates_and_owns_what_it_says(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    made = apply(api, path, configmap("a", {"l": "1"}, k="v"), expect=201)
    assert owners(made) == {("one", "Apply"): {"f:data": {"f:k": {}}, "f:metadata": {"f:labels": {"f:l": {}}}}}
    again = apply(api, path, configmap("a", {"l": "1"}, k="v"))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_apply_needs_a_manager_kind_and_version(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    api.patch(path, configmap("a"), "apply", expect=422)
    apply(api, path, {"metadata": {"name": "a"}}, expect=400)
    body = configmap("a")
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    apply(api, path, body, expect=400)


def test_what_an_applier_no_longer_says_goes(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    apply(api, path, configmap("a", k="v", gone="x"), expect=201)
    assert apply(api, path, configmap("a", k="v"))["data"] == {"k": "v"}


def test_what_another_applier_says_too_stays(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    apply(api, path, configmap("a", both="x", mine="y"), expect=201)
    apply(api, path, configmap("a", both="x", other="z"), "two")
    assert apply(api, path, configmap("a", mine="y"))["data"] == {"both": "x", "mine": "y", "other": "z"}


def test_changing_another_s_field_is_a_conflict_unless_forced(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    apply(api, path, configmap("a", k="1"), expect=201)
    status = apply(api, path, configmap("a", k="2"), "two", expect=409)
    assert status["reason"] == "Conflict"
    assert status["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    assert status["details"]["causes"] == [cause]
    forced = apply(api, path, configmap("a", k="2"), "two", force="true")
    assert forced["data"] == {"k": "2"} and owners(forced) == {("two", "Apply"): {"f:data": {"f:k": {}}}}


def test_an_update_takes_what_it_changes_without_asking(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    apply(api, path, configmap("a", k="1", rest="x"), expect=201)
    patched = api.patch(path, {"data": {"k": "2"}}, fieldManager="editor")
    assert owners(patched) == {
        ("one", "Apply"): {"f:data": {"f:rest": {}}},
        ("editor", "Update"): {"f:data": {"f:k": {}}},
    }
    status = apply(api, path, configmap("a", k="1", rest="x"), expect=409)
    assert 'conflict with "editor" using v1 at ' in status["message"]


def test_lists_with_keys_are_owned_by_element(api: Api, apps: str) -> None:
    path = f"{apps}/deployments/d"
    body = deployment("d")
    apply(api, path, body, expect=201)
    side = deployment("d")
    del side["spec"]["replicas"], side["spec"]["selector"], side["spec"]["template"]["metadata"]
    side["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "y"}]
    both = apply(api, path, side, "two")
    assert [c["name"] for c in both["spec"]["template"]["spec"]["containers"]] == ["c", "side"]
    del side["spec"]["template"]
    alone = apply(api, path, side, "two")
    assert [c["name"] for c in alone["spec"]["template"]["spec"]["containers"]] == ["c"]


def test_defaults_belong_to_nobody(api: Api, apps: str) -> None:
    made = apply(api, f"{apps}/deployments/d", deployment("d"), expect=201)
    spec = owners(made)["one", "Apply"]["f:spec"]
    assert "f:strategy" not in spec and "f:replicas" in spec
    key = 'k:{"name":"c"}'
    assert spec["f:template"]["f:spec"]["f:containers"] == {key: {".": {}, "f:image": {}, "f:name": {}}}


def test_status_is_owned_apart(api: Api, apps: str) -> None:
    path = f"{apps}/deployments/d"
    apply(api, path, deployment("d"), expect=201)
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "status": {"replicas": 1}}
    patched = apply(api, f"{path}/status", body, "controller")
    entry = next(e for e in patched["metadata"]["managedFields"] if e["manager"] == "controller")
    assert entry["subresource"] == "status" and entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}


def test_a_create_is_entered_as_an_update(api: Api, core: str) -> None:
    made = api.post(f"{core}/configmaps", configmap("a", k="v"), fieldManager="maker")
    assert owners(made) == {("maker", "Update"): {"f:data": {".": {}, "f:k": {}}}}
    unnamed = api.client.post(f"{core}/configmaps", json=configmap("b", k="v"), headers={"user-agent": "tool/1.0 (x)"})
    assert unnamed.json()["metadata"]["managedFields"][0]["manager"] == "tool"


def test_managed_fields_survive_writers_that_do_not_know_them_and_can_be_reset(api: Api, core: str) -> None:
    path = f"{core}/configmaps/a"
    api.post(f"{core}/configmaps", configmap("a", k="v"), fieldManager="maker")
    put = api.put(path, configmap("a", k="v", n="1"), fieldManager="other")
    assert set(owners(put)) == {("maker", "Update"), ("other", "Update")}
    body = put | {"metadata": put["metadata"] | {"managedFields": [{}]}}
    assert owners(api.put(path, body, fieldManager="other")) == {}


def test_unknown_fields_of_an_apply_are_refused_when_strict(api: Api, core: str) -> None:
    body = configmap("a") | {"colour": "red"}
    status = apply(api, f"{core}/configmaps/a", body, expect=400, fieldValidation="Strict")
    assert 'unknown field "colour"' in status["message"]
