"""Two containers of one pod name at the same time are found, on one machine or two; one after the other is right."""

from __future__ import annotations

from dataclasses import replace

from tests.lab.runs import Run, check

FIRST = Run("node-1", "default/db-0", "11111111-2222", "main", "aaaaaaaaaaaaaaaa", 100.0, 110.0)
SECOND = replace(FIRST, machine="node-2", uid="33333333-4444", id="bbbbbbbbbbbbbbbb", start=109.0, end=120.0)


def test_a_pod_name_that_runs_on_two_machines_at_once_is_found() -> None:
    (violation,) = check([SECOND, FIRST])
    assert str(violation) == (
        "twice: main of default/db-0 (uid 33333333, container bbbbbbbbbbbb) on node-2 ran for 1.000 s together with "
        "main of default/db-0 (uid 11111111, container aaaaaaaaaaaa) on node-1"
    )


def test_one_after_the_other_is_right() -> None:
    assert check([FIRST, replace(SECOND, start=110.0)]) == []


def test_clocks_that_differ_are_allowed_for() -> None:
    assert check([FIRST, SECOND], tolerance=1.5) == []


def test_other_pods_and_other_containers_may_run_beside() -> None:
    assert check([FIRST, replace(SECOND, pod="default/db-1"), replace(SECOND, container="sidecar")]) == []
