"""watch: nothing lost, nothing twice, one order for all, an honest end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.cluster import Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.api.objects import configmap, pod


def version(api: Api, path: str) -> str:
    return str(api.get(path)["metadata"]["resourceVersion"])


def test_a_watch_from_a_version_gives_everything_after_it(api: Api, core: str) -> None:
    path = f"{core}/secrets"
    start = version(api, path)
    api.post(path, {"metadata": {"name": "a"}})
    api.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}})
    api.delete(f"{path}/a")
    with api.watch(path, resourceVersion=start) as watch:
        assert watch.take(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_watch_tells_what_happens_while_it_is_open(api: Api, core: str) -> None:
    path = f"{core}/secrets"
    with api.watch(path, resourceVersion=version(api, path)) as watch:
        made = api.post(path, {"metadata": {"name": "a"}})
        event = watch.next()
        assert event == {"type": "ADDED", "object": made}
        api.delete(f"{path}/a")
        gone = watch.next()
        assert gone["type"] == "DELETED"
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize("start", ["", "0"])
def test_a_watch_without_a_version_begins_with_what_is_there(api: Api, core: str, start: str) -> None:
    path = f"{core}/secrets"
    for name in ("b", "a"):
        api.post(path, {"metadata": {"name": name}})
    version(api, path)
    with api.watch(path, resourceVersion=start) as watch:
        assert watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        api.delete(f"{path}/a")
        assert watch.take(1) == [("DELETED", "a")]


def test_send_initial_events_ends_them_with_a_bookmark(api: Api, core: str) -> None:
    path = f"{core}/configmaps"
    api.post(path, configmap("a"))
    api.post(path, configmap("b"))
    params = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "fieldSelector": "metadata.name=a",
    }
    with api.watch(path, **params) as watch:
        assert watch.take(1) == [("ADDED", "a")]
        mark = watch.next()
        assert mark["type"] == "BOOKMARK" and mark["object"]["kind"] == "ConfigMap"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        made = api.patch(f"{path}/a", {"data": {"k": "v"}})
        assert int(made["metadata"]["resourceVersion"]) > int(mark["object"]["metadata"]["resourceVersion"])
        assert watch.take(1) == [("MODIFIED", "a")]


def test_wrong_watch_options_are_refused(api: Api, core: str) -> None:
    with pytest.raises(AssertionError, match="422"), api.watch(f"{core}/pods", sendInitialEvents="true"):
        pass
    with pytest.raises(AssertionError, match="422"), api.watch(f"{core}/pods", resourceVersionMatch="NotOlderThan"):
        pass


def test_an_object_that_enters_or_leaves_the_selector_is_added_or_deleted(api: Api, core: str) -> None:
    path = f"{core}/secrets"
    start = version(api, path)
    api.post(path, {"metadata": {"name": "a"}})
    api.patch(f"{path}/a", {"metadata": {"labels": {"in": "yes"}}})
    api.patch(f"{path}/a", {"metadata": {"labels": {"more": "yes"}}})
    left = api.patch(f"{path}/a", {"metadata": {"labels": {"in": "no"}}})
    api.delete(f"{path}/a")
    api.post(path, {"metadata": {"name": "b", "labels": {"in": "yes"}}})
    with api.watch(path, resourceVersion=start, labelSelector="in=yes") as watch:
        assert watch.take(2) == [("ADDED", "a"), ("MODIFIED", "a")]
        gone = watch.next()
        assert gone["type"] == "DELETED" and gone["object"]["metadata"]["labels"]["in"] == "yes"
        assert gone["object"]["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
        assert watch.take(1) == [("ADDED", "b")]


def test_field_selectors_filter_a_watch(api: Api, core: str) -> None:
    path = f"{core}/pods"
    start = version(api, path)
    api.post(path, pod("a"))
    api.post(path, pod("b", nodeName="n9"))
    with api.watch(path, resourceVersion=start, fieldSelector="spec.nodeName=n9") as watch:
        assert watch.take(1) == [("ADDED", "b")]


def test_a_watch_ends_when_its_time_is_up(api: Api, core: str) -> None:
    with api.watch(f"{core}/secrets", timeoutSeconds=1) as watch:
        assert watch.until_end() == []


def test_a_bookmark_closes_a_watch_that_allows_them(api: Api, core: str) -> None:
    path = f"{core}/secrets"
    start = version(api, path)
    with api.watch(path, timeoutSeconds=1, allowWatchBookmarks="true", resourceVersion=start) as watch:
        events = watch.until_end()
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert int(events[0]["object"]["metadata"]["resourceVersion"]) >= int(start)


def test_all_watchers_see_one_order(api: Api, core: str, cluster: Cluster) -> None:
    path = f"{core}/secrets"
    start = version(api, path)
    ready = threading.Barrier(9)

    def follow() -> list[str]:
        with connect(cluster) as client, Api(client).watch(path, resourceVersion=start) as watch:
            ready.wait(10)
            return [watch.next()["object"]["metadata"]["resourceVersion"] for _ in range(40)]

    def write(prefix: str) -> None:
        with connect(cluster) as client:
            for index in range(20):
                Api(client).post(path, {"metadata": {"name": f"{prefix}{index}"}})

    with ThreadPoolExecutor(12) as pool:
        watchers = [pool.submit(follow) for _ in range(8)]
        ready.wait(10)
        writers = [pool.submit(write, prefix) for prefix in ("a", "b")]
        for writer in writers:
            writer.result(30)
        orders = [watcher.result(30) for watcher in watchers]
    assert all(order == orders[0] for order in orders)
    assert [int(each) for each in orders[0]] == sorted(int(each) for each in orders[0])


def test_a_watch_of_metadata_and_of_tables(api: Api, core: str) -> None:
    path = f"{core}/pods"
    start = version(api, path)
    api.post(path, pod("a"))
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    with api.watch(path, resourceVersion=start, accept=accept) as watch:
        event = watch.next()
        assert event["object"]["kind"] == "PartialObjectMetadata" and "spec" not in event["object"]
    accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
    with api.watch(path, resourceVersion=start, accept=accept) as watch:
        api.patch(f"{path}/a", {"metadata": {"labels": {"x": "y"}}})
        first, second = watch.next(), watch.next()
        assert first["object"]["kind"] == "Table" and first["object"]["columnDefinitions"]
        assert second["object"]["rows"][0]["cells"][0] == "a" and not second["object"]["columnDefinitions"]


def test_the_old_watch_path_still_watches(api: Api, core: str) -> None:
    path = core.replace("/api/v1/", "/api/v1/watch/") + "/secrets"
    api.post(f"{core}/secrets", {"metadata": {"name": "a"}})
    version(api, f"{core}/secrets")
    with api.client.stream("GET", path, params={"timeoutSeconds": "5"}) as response:
        assert '"ADDED"' in next(response.iter_lines())


def test_a_watcher_that_leaves_is_forgotten(api: Api, core: str, cluster: Cluster) -> None:
    with connect(cluster) as client, Api(client).watch(f"{core}/podtemplates") as watch:
        api.post(f"{core}/podtemplates", {"metadata": {"name": "a"}, "template": pod("x")})
        assert watch.take(1) == [("ADDED", "a")]
    # The closed connection ends the watch: the gauge of long-running requests comes back to nothing.
    deadline = 50
    for _ in range(deadline):
        text = api.client.get("/metrics").text
        if 'apiserver_longrunning_requests{resource="podtemplates"} 0.0' in text:
            return
    raise AssertionError("the watch is still counted")


def test_reading_ahead_of_a_watch_never_overtakes_it(api: Api, core: str) -> None:
    """A watch from a list's version neither repeats what was listed nor loses what came after."""
    path = f"{core}/secrets"
    for index in range(10):
        api.post(path, {"metadata": {"name": f"s{index}"}})
        listed = api.get(path)
        with api.watch(path, resourceVersion=listed["metadata"]["resourceVersion"]) as watch:
            api.post(path, {"metadata": {"name": f"t{index}"}})
            assert watch.take(1) == [("ADDED", f"t{index}")]


def test_a_quiet_watch_sends_its_headers_at_once(api: Api, core: str) -> None:
    with api.client.stream(
        "GET", f"{core}/secrets", params={"watch": "1", "timeoutSeconds": "5"}, timeout=2
    ) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            next(response.iter_lines())
