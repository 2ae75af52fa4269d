"""Expectations keep a controller with a stale cache from acting twice."""

from __future__ import annotations

from client.clock import FakeClock
from client.expectations import Expectations


def test_nothing_expected_is_satisfied(clock: FakeClock) -> None:
    assert Expectations(clock).satisfied("rs")


def test_creations_and_deletions_must_all_be_seen(clock: FakeClock) -> None:
    expected = Expectations(clock)
    expected.expect_creations("rs", 2)
    expected.creation_observed("rs")
    assert not expected.satisfied("rs")
    expected.creation_observed("rs")
    assert expected.satisfied("rs")
    expected.expect_deletions("rs", ["p1"])
    expected.deletion_observed("rs", "other")
    assert not expected.satisfied("rs")
    expected.deletion_observed("rs", "p1")
    assert expected.satisfied("rs")


def test_one_key_does_not_hold_up_another(clock: FakeClock) -> None:
    expected = Expectations(clock)
    expected.expect_creations("a", 1)
    assert expected.satisfied("b")


async def test_an_expectation_is_given_up_after_five_minutes(clock: FakeClock) -> None:
    expected = Expectations(clock)
    expected.expect_creations("rs", 1)
    await clock.advance(301)
    assert expected.satisfied("rs")
    expected.expect_creations("rs", 1)
    assert not expected.satisfied("rs")


def test_forgetting_ends_all_expectations(clock: FakeClock) -> None:
    expected = Expectations(clock)
    expected.expect_creations("rs", 1)
    expected.forget("rs")
    assert expected.satisfied("rs")
