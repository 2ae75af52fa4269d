"""The watch cache: order, window, selections; bytes get their version without being parsed."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import resources, selectors
from apiserver import cache as cache_module
from apiserver import codec
from apiserver.cache import Cache, Event, Selection
from apiserver.handlers.watch import Watcher


def stored(name: str, namespace: str = "a", **more: Any) -> bytes:
    meta = {"name": name, "namespace": namespace} | more.pop("metadata", {})
    return codec.stored({"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {}} | more)


@pytest.fixture
def pods() -> Cache:
    made = Cache(resources.PODS)
    made.load([], 10)
    return made


class Recorder:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.expired = False

    def offer(self, event: Event) -> None:
        self.events.append(event)

    def expire(self) -> None:
        self.expired = True


def test_bytes_carry_the_revision_of_their_write(pods: Cache) -> None:
    pods.put("a/p", stored("p"), 11)
    entry = pods.entries["a/p"]
    assert orjson.loads(entry.data)["metadata"]["resourceVersion"] == "11"
    assert entry.data.startswith(b'{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"11",')


def test_keys_are_in_etcd_s_order_and_namespaces_are_ranges(pods: Cache) -> None:
    for revision, key in enumerate(("b/a", "a/z", "a-b/x", "a/b", "a0/c"), 11):
        namespace, _, name = key.partition("/")
        pods.put(key, stored(name, namespace), revision)
    assert pods.keys() == sorted(("b/a", "a/z", "a-b/x", "a/b", "a0/c"))
    assert pods.keys("a") == ["a/b", "a/z"]
    assert pods.keys("a", after="a/b") == ["a/z"]
    pods.remove("a/z", 20)
    assert pods.keys("a") == ["a/b"]


def test_the_window_replays_what_came_after_a_revision(pods: Cache) -> None:
    pods.put("a/p", stored("p"), 11)
    pods.put("a/p", stored("p", spec={"nodeName": "n"}), 12)
    pods.remove("a/p", 13)
    assert [(e.type, e.revision) for e in pods.since(10) or ()] == [("ADDED", 11), ("MODIFIED", 12), ("DELETED", 13)]
    assert [e.revision for e in pods.since(12) or ()] == [13]
    assert pods.since(13) == []
    assert pods.since(9) is None


def test_events_that_leave_the_window_move_its_base(pods: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "WINDOW", 3)
    for revision in range(11, 17):
        pods.put("a/p", stored("p"), revision)
    assert pods.base == 13 and pods.since(12) is None
    assert [e.revision for e in pods.since(13) or ()] == [14, 15, 16]


def test_a_deletion_shows_the_last_state_at_the_revision_of_the_deletion(pods: Cache) -> None:
    recorder = Recorder()
    pods.listeners.add(recorder)
    pods.put("a/p", stored("p", metadata={"labels": {"x": "y"}}), 11)
    pods.remove("a/p", 12)
    gone = orjson.loads(recorder.events[1].entry.data)
    assert gone["metadata"]["resourceVersion"] == "12" and gone["metadata"]["labels"] == {"x": "y"}


def test_loading_again_tells_watchers_to_list_and_handlers_the_difference(pods: Cache) -> None:
    recorder, seen = Recorder(), []
    pods.put("a/gone", stored("gone"), 11)
    pods.put("a/same", stored("same"), 12)
    pods.subscribe(lambda kind, obj: seen.append((kind, obj["metadata"]["name"])))
    assert seen == [("ADDED", "gone"), ("ADDED", "same")]
    pods.listeners.add(recorder)
    pods.load([("a/same", stored("same"), 12), ("a/new", stored("new"), 30)], 40)
    assert recorder.expired and pods.base == 40 and pods.keys() == ["a/new", "a/same"]
    assert seen[2:] == [("ADDED", "new"), ("DELETED", "gone")]


def test_an_object_that_cannot_be_read_does_not_hide_the_others(pods: Cache) -> None:
    pods.load([("a/bad", b"{not json", 11), ("a/good", stored("good"), 12)], 20)
    assert pods.keys() == ["a/good"]


TRANSITIONS = [
    (None, {"in": "yes"}, "ADDED"),
    ({"in": "no"}, {"in": "yes"}, "ADDED"),
    ({"in": "yes"}, {"in": "yes", "x": "y"}, "MODIFIED"),
    ({"in": "yes"}, {"in": "no"}, "DELETED"),
    ({"in": "yes"}, None, "DELETED"),
    ({"in": "no"}, None, ""),
    ({"in": "no"}, {"in": "never"}, ""),
]


@pytest.mark.parametrize(("before", "after", "expected"), TRANSITIONS)
def test_an_event_is_seen_through_the_selection(
    pods: Cache, before: dict[str, str] | None, after: dict[str, str] | None, expected: str
) -> None:
    if before is not None:
        pods.put("a/p", stored("p", metadata={"labels": before}), 11)
    watcher = Watcher(Selection("a", "", selectors.parse_label_selector("in=yes")))
    pods.listeners.add(watcher)
    if after is None:
        pods.remove("a/p", 12)
    else:
        pods.put("a/p", stored("p", metadata={"labels": after}), 12)
    assert [kind for kind, _ in watcher.queue] == ([expected] if expected else [])
    assert all(entry.revision == 12 for _, entry in watcher.queue)


def test_a_watcher_that_does_not_read_is_cut_off(pods: Cache) -> None:
    watcher, cuts = Watcher(Selection()), []
    watcher.limit = 5
    watcher.cut = lambda: cuts.append(True)
    pods.listeners.add(watcher)
    for revision in range(11, 20):
        pods.put("a/p", stored("p"), revision)
    assert watcher.overrun and watcher.ended and cuts == [True] and not watcher.queue


def test_a_watch_that_begins_ahead_of_the_cache_is_not_told_what_is_older(pods: Cache) -> None:
    watcher = Watcher(Selection())
    watcher.after = 12
    pods.listeners.add(watcher)
    for revision in (11, 12, 13):
        pods.put("a/p", stored("p"), revision)
    assert [(kind, entry.revision) for kind, entry in watcher.queue] == [("MODIFIED", 13)]


def test_selectable_fields_stand_beside_the_bytes(pods: Cache) -> None:
    pods.put("a/p", stored("p", spec={"nodeName": "n1", "hostNetwork": True}, status={"phase": "Running"}), 11)
    fields = pods.entries["a/p"].fields
    assert fields["spec.nodeName"] == "n1" and fields["status.phase"] == "Running"
    assert fields["spec.hostNetwork"] == "true" and "status.podIP" not in fields


_text = st.text(max_size=20)


@given(st.dictionaries(_text, _text, max_size=4), _text, st.integers(1, 2**60), st.integers(1, 2**60))
def test_splicing_a_version_is_what_parsing_and_setting_it_would_be(
    labels: dict[str, str], extra: str, first: int, second: int
) -> None:
    obj = {"kind": "K", "apiVersion": "v1", "metadata": {"name": "n", "labels": labels}, "data": {"x": extra}}
    data = codec.stored(obj | {"metadata": {**obj["metadata"], "resourceVersion": "7"}})  # type: ignore[dict-item]
    assert b"resourceVersion" not in data.split(b'"labels"')[0]
    served = codec.versioned(data, first)
    obj["metadata"]["resourceVersion"] = str(first)  # type: ignore[index]
    assert orjson.loads(served) == obj
    obj["metadata"]["resourceVersion"] = str(second)  # type: ignore[index]
    assert orjson.loads(codec.reversioned(served, second)) == obj
