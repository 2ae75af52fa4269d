"""Which server is in use, and which is next."""

from __future__ import annotations

import pytest

from client.roster import Health, Roster, is_local

A, B, C = "https://a:1", "https://b:1", "https://c:1"
SILENT, UNREADY, READY = Health


def roster(*servers: str, home: str = A) -> Roster:
    return Roster(servers or (A, B, C), lambda _: home)


def test_a_client_begins_at_its_home() -> None:
    assert roster(home=B).servers == [B, A, C]


def test_a_client_may_be_told_its_home_and_ignores_one_that_is_not_listed() -> None:
    made = roster(A, B)
    made.settle(B)
    made.settle(C)
    assert (made.home, made.current) == (B, B)


def test_clients_spread_over_the_servers() -> None:
    assert {Roster([A, B, C]).current for _ in range(200)} == {A, B, C}


@pytest.mark.parametrize(
    ("first", "local"),
    [
        ("https://127.0.0.1:6443", True),
        ("https://localhost:6443", True),
        ("https://[::1]:6443", True),
        ("https://192.0.2.1:6443", False),
        ("https://api.example:6443", False),
    ],
)
def test_a_server_on_this_machine_is_home_when_it_is_the_first(first: str, local: bool) -> None:
    assert is_local(first) is local
    assert Roster([first, B], lambda servers: B).current == (first if local else B)
    assert Roster([B, first], lambda servers: B).current == B


@pytest.mark.parametrize(
    ("failures", "order"),
    [
        ([A], [B, C, A]),
        ([A, A, A], [B, C, A]),
        ([A, B], [C, A, B]),
        ([A, B, C], [A, B, C]),
        ([C], [A, B, C]),
        (["https://gone:1"], [A, B, C]),
    ],
)
def test_the_next_server_is_the_one_that_failed_longest_ago(failures: list[str], order: list[str]) -> None:
    made = roster()
    for server in failures:
        made.failed(server)
    assert made.servers == order


@pytest.mark.parametrize(
    ("health", "better"),
    [
        ({A: SILENT, B: READY, C: READY}, B),
        ({A: SILENT, B: UNREADY, C: READY}, C),
        ({A: SILENT, B: UNREADY, C: SILENT}, B),
        ({A: UNREADY, B: UNREADY, C: SILENT}, None),
        ({A: SILENT, B: SILENT, C: SILENT}, None),
        ({A: READY, B: READY, C: READY}, None),
        ({A: SILENT}, None),
    ],
)
def test_a_server_is_left_only_for_one_in_better_health(health: dict[str, Health], better: str | None) -> None:
    assert roster().better(A, health) == better


def test_a_lone_server_is_never_left() -> None:
    made = roster(A)
    made.failed(A)
    assert made.current == A
    assert made.better(A, {A: SILENT}) is None


def test_another_list_keeps_the_server_in_use_if_it_can() -> None:
    made = roster()
    made.failed(A)
    made.replace([C, B, "https://d:1"])
    assert made.servers[:2] == [B, C]
    made.replace([A])
    assert (made.current, made.home) == (A, A)


def test_the_same_list_in_another_order_changes_nothing() -> None:
    made = roster()
    made.failed(A)
    made.replace([C, A, B])
    assert (made.servers, made.home) == ([B, C, A], A)
