"""list: selectors, pages, how fresh an answer is, and the forms it is shown in."""

import pytest

from tests.api.http import Api
from tests.api.objects import configmap, pod


def names(listed: dict) -> list[str]:  # type: ignore[type-arg]
    return [item["metadata"]["name"] for item in listed["items"]]


def test_a_list_is_in_the_order_of_names_and_has_a_version(api: Api, core: str) -> None:
    for name in ("b", "a", "c"):
        made = api.post(f"{core}/secrets", {"metadata": {"name": name}})
    listed = api.get(f"{core}/secrets")
    assert listed["kind"] == "SecretList" and names(listed) == ["a", "b", "c"]
    assert int(listed["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=a", ["a"]),
        ("app!=a", ["b", "c"]),
        ("app in (a,b)", ["a", "b"]),
        ("app notin (a)", ["b", "c"]),
        ("tier", ["c"]),
        ("!tier,app", ["a", "b"]),
    ],
)
def test_label_selectors(api: Api, core: str, selector: str, expected: list[str]) -> None:
    for name in ("a", "b"):
        api.post(f"{core}/secrets", {"metadata": {"name": name, "labels": {"app": name}}})
    api.post(f"{core}/secrets", {"metadata": {"name": "c", "labels": {"tier": "x"}}})
    assert names(api.get(f"{core}/secrets", labelSelector=selector)) == expected


def test_field_selectors_of_pods(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("a", nodeName="n1"))
    api.post(f"{core}/pods", pod("b"))
    assert names(api.get(f"{core}/pods", fieldSelector="spec.nodeName=n1")) == ["a"]
    assert names(api.get(f"{core}/pods", fieldSelector="spec.nodeName=")) == ["b"]
    assert names(api.get(f"{core}/pods", fieldSelector="metadata.name!=a,status.phase=Pending")) == ["b"]
    assert names(api.get("/api/v1/pods", fieldSelector=f"metadata.namespace={core.rpartition('/')[2]}")) == ["a", "b"]
    assert api.get(f"{core}/pods", expect=400, fieldSelector="spec.colour=red")["reason"] == "BadRequest"


def test_a_selector_that_cannot_be_read_is_a_bad_request(api: Api, core: str) -> None:
    assert api.get(f"{core}/pods", expect=400, labelSelector="app in (")["reason"] == "BadRequest"


def test_pages_are_one_consistent_list(api: Api, core: str) -> None:
    for index in range(5):
        api.post(f"{core}/secrets", {"metadata": {"name": f"s{index}"}})
    first = api.get(f"{core}/secrets", limit=2)
    assert names(first) == ["s0", "s1"] and first["metadata"]["remainingItemCount"] == 3
    api.post(f"{core}/secrets", {"metadata": {"name": "s2-new"}})
    api.delete(f"{core}/secrets/s3")
    second = api.get(f"{core}/secrets", limit=2, **{"continue": first["metadata"]["continue"]})
    assert names(second) == ["s2", "s3"] and second["metadata"]["remainingItemCount"] == 1
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = api.get(f"{core}/secrets", limit=2, **{"continue": second["metadata"]["continue"]})
    assert names(third) == ["s4"] and "continue" not in third["metadata"]


def test_a_page_with_selectors_tells_no_remaining_count(api: Api, core: str) -> None:
    for index in range(3):
        api.post(f"{core}/secrets", {"metadata": {"name": f"s{index}", "labels": {"a": "b"}}})
    page = api.get(f"{core}/secrets", limit=1, labelSelector="a=b")
    assert page["metadata"]["continue"] and "remainingItemCount" not in page["metadata"]


def test_a_foreign_continue_token_is_a_bad_request(api: Api, core: str) -> None:
    assert api.get(f"{core}/secrets", expect=400, **{"continue": "nonsense"})["reason"] == "BadRequest"


def test_a_list_exactly_at_an_old_version_shows_the_past(api: Api, core: str) -> None:
    made = api.post(f"{core}/secrets", {"metadata": {"name": "old"}})
    api.post(f"{core}/secrets", {"metadata": {"name": "young"}})
    version = made["metadata"]["resourceVersion"]
    past = api.get(f"{core}/secrets", resourceVersion=version, resourceVersionMatch="Exact")
    assert names(past) == ["old"] and past["metadata"]["resourceVersion"] == version
    newer = api.get(f"{core}/secrets", resourceVersion=version, resourceVersionMatch="NotOlderThan")
    assert names(newer) == ["old", "young"]


def test_a_version_from_the_future_times_out(api: Api, core: str) -> None:
    status = api.get(f"{core}/secrets", expect=504, resourceVersion="999999999")
    assert status["reason"] == "Timeout" and status["message"].startswith("Too large resource version")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_wrong_list_options_are_refused(api: Api, core: str) -> None:
    assert api.get(f"{core}/secrets", expect=422, resourceVersionMatch="Exact")["reason"] == "Invalid"
    assert api.get(f"{core}/secrets", expect=422, sendInitialEvents="true")["reason"] == "Invalid"
    assert api.get(f"{core}/secrets", expect=400, resourceVersion="abc")["reason"] == "BadRequest"


def test_every_read_sees_every_write_before_it(api: Api, core: str) -> None:
    for index in range(30):
        api.post(f"{core}/secrets", {"metadata": {"name": f"s{index:02}"}})
        assert len(api.get(f"{core}/secrets")["items"]) == index + 1
        assert api.get(f"{core}/secrets/s{index:02}")["metadata"]["name"] == f"s{index:02}"


def test_tables(api: Api, core: str) -> None:
    api.post(f"{core}/pods", pod("a"))
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
    response = api.client.get(f"{core}/pods", headers={"accept": accept})
    table = response.json()
    assert table["kind"] == "Table" and table["apiVersion"] == "meta.k8s.io/v1"
    assert [column["name"] for column in table["columnDefinitions"]][:5] == [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
    ]
    row = table["rows"][0]
    assert row["cells"][:4] == ["a", "0/1", "Pending", 0] or row["cells"][:4] == ["a", "0/1", "Pending", "0"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    single = api.client.get(f"{core}/pods/a", headers={"accept": accept}, params={"includeObject": "Object"}).json()
    assert single["rows"][0]["object"]["kind"] == "Pod"


def test_metadata_only_lists(api: Api, core: str) -> None:
    api.post(f"{core}/configmaps", configmap("a", k="v"))
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = api.client.get(
        f"{core}/configmaps", headers={"accept": accept}, params={"fieldSelector": "metadata.name=a"}
    ).json()
    assert listed["kind"] == "PartialObjectMetadataList"
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_an_accept_that_nobody_can_serve_is_not_acceptable(api: Api, core: str) -> None:
    response = api.client.get(f"{core}/pods", headers={"accept": "image/png"})
    assert response.status_code == 406 and response.json()["reason"] == "NotAcceptable"
    response = api.client.get(
        f"{core}/pods", headers={"accept": "application/vnd.kubernetes.protobuf,application/json"}
    )
    assert response.status_code == 200
