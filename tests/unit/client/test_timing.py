"""Leader election's periods: what is read, what is refused."""

from __future__ import annotations

import argparse

import pytest

from client import timing
from client.timing import Timing


@pytest.mark.parametrize(("text", "value"), [("6", 6), ("6s", 6), ("1.5", 1.5), ("500ms", 0.5), ("1m", 60), (6.0, 6)])
def test_durations(text: str | float, value: float) -> None:
    assert timing.seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "-1", "6 s", "1h", "a"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        timing.seconds(text)


@pytest.mark.parametrize(
    ("periods", "wrong"),
    [
        ((4, 4, 1), "lease-duration"),
        ((4.9, 4.5, 1), "lease-duration"),
        ((6, 1.2, 1), "renew-deadline"),
        ((6, 4, 0), "retry-period"),
    ],
)
def test_periods_that_could_make_two_leaders_are_refused(periods: tuple[float, float, float], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Timing(*periods)


def test_a_leader_is_followed_within_ten_seconds_by_default() -> None:
    assert Timing().lease_duration + 2 * Timing().retry_period < 10


def test_flags() -> None:
    parser = argparse.ArgumentParser()
    timing.add_flags(parser)
    assert timing.of(parser.parse_args([])) == Timing()
    flags = ["--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10", "--leader-elect-retry-period=2s"]
    assert timing.of(parser.parse_args(flags)) == Timing(15, 10, 2)
