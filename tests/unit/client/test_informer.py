"""Informers: what handlers hear, and what the lister shows."""

from __future__ import annotations

from typing import Any

import pytest

from api import resources
from api.selectors import parse_label_selector
from client.informer import Informer
from tests.unit.client.conftest import pod


class Heard:
    """A handler that remembers."""

    def __init__(self, informer: Informer) -> None:
        self.calls: list[tuple[str, str]] = []
        self.end = informer.add_handler(
            lambda o: self._note("add", o), lambda _, new: self._note("update", new), lambda o: self._note("delete", o)
        )

    def _note(self, what: str, obj: dict[str, Any]) -> None:
        self.calls.append((what, obj["metadata"]["name"] + "@" + obj["metadata"]["resourceVersion"]))


@pytest.fixture
def informer() -> Informer:
    return Informer(resources.PODS)


def test_a_list_adds_what_is_new_and_syncs(informer: Informer) -> None:
    heard = Heard(informer)
    assert not informer.synced.is_set()
    informer.replace([pod("a"), pod("b")])
    assert heard.calls == [("add", "a@1"), ("add", "b@1")]
    assert informer.synced.is_set()


def test_a_second_list_tells_the_difference_only(informer: Informer) -> None:
    informer.replace([pod("a"), pod("b"), pod("c")])
    heard = Heard(informer)
    heard.calls.clear()
    informer.replace([pod("a"), pod("b", 5)])
    assert heard.calls == [("update", "b@5"), ("delete", "c@1")]


def test_an_object_recreated_between_lists_is_deleted_and_added(informer: Informer) -> None:
    informer.replace([pod("a", uid="old")])
    heard = Heard(informer)
    heard.calls.clear()
    informer.replace([pod("a", 9, uid="new")])
    assert heard.calls == [("delete", "a@1"), ("add", "a@9")]


def test_a_late_handler_hears_of_present_objects_once(informer: Informer) -> None:
    informer.apply("ADDED", pod("a"))
    heard = Heard(informer)
    assert heard.calls == [("add", "a@1")]


def test_an_event_with_a_version_already_seen_is_no_update(informer: Informer) -> None:
    informer.apply("ADDED", pod("a", 3))
    heard = Heard(informer)
    informer.apply("MODIFIED", pod("a", 3))
    assert heard.calls == [("add", "a@3")]


def test_a_removed_handler_hears_nothing(informer: Informer) -> None:
    heard = Heard(informer)
    heard.end()
    informer.apply("ADDED", pod("a"))
    assert heard.calls == []


def test_the_lister_selects_by_key_namespace_label_and_index(informer: Informer) -> None:
    informer.add_index("app", lambda o: [o["metadata"]["labels"].get("app", "")])
    informer.apply("ADDED", pod("a", app="web"))
    informer.apply("ADDED", pod("b", app="db"))
    lister = informer.lister
    found = lister.get("ns/a")
    assert found is not None
    assert found["metadata"]["name"] == "a"
    assert lister.list("other") == []
    assert len(lister.list("ns")) == 2
    assert [o["metadata"]["name"] for o in lister.list(selector=parse_label_selector("app=db"))] == ["b"]
    assert [o["metadata"]["name"] for o in lister.by_index("app", "web")] == ["a"]


def test_an_index_follows_changes_and_deletions(informer: Informer) -> None:
    informer.apply("ADDED", pod("a", 1, app="web"))
    informer.add_index("app", lambda o: [o["metadata"]["labels"].get("app", "")])
    informer.apply("MODIFIED", pod("a", 2, app="db"))
    assert informer.lister.by_index("app", "web") == []
    informer.apply("DELETED", pod("a", 3, app="db"))
    assert informer.lister.by_index("app", "db") == []
