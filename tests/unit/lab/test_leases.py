"""A Lease that is taken too early is found, by the holders' clocks or by ours; one that may be taken is not."""

from __future__ import annotations

from tests.lab.leases import Glimpse, LeaseHistory, Tenure, check

NEVER = float("-inf")


def tenure(revision: int, holder: str, renewed: float, acquired: float | None = None) -> Tenure:
    return Tenure("scheduler", revision, holder, 15.0, renewed if acquired is None else acquired, renewed)


def told(*tenures: Tenure, late: float = 0.0) -> list[Glimpse]:
    return [Glimpse(each, NEVER, each.renewed + late) for each in tenures]


A1, A2 = tenure(1, "a", 100), tenure(2, "a", 102, 100)


def test_a_lease_that_has_run_out_may_be_taken() -> None:
    assert check(LeaseHistory([told(A1, A2, tenure(3, "b", 117.5))])) == []


def test_a_lease_that_was_given_back_may_be_taken_at_once() -> None:
    assert check(LeaseHistory([told(A1, A2, tenure(3, "", 103), tenure(4, "b", 103.1))])) == []


def test_a_lease_that_is_taken_early_is_found_by_the_holders_clocks() -> None:
    (violation,) = check(LeaseHistory([told(A1, A2, tenure(3, "b", 110))]))
    assert str(violation) == (
        "lease: b took scheduler (revision 3) 8.000 s after the last renewal by their clocks, "
        "which gave it to a for 15 s (revision 2)"
    )


def test_with_clocks_that_do_not_agree_our_own_is_the_proof() -> None:
    jumped = tenure(3, "b", 3702)
    seen = [Glimpse(A1, NEVER, 100.1), Glimpse(A2, NEVER, 102.1), Glimpse(jumped, NEVER, 108)]
    read = [Glimpse(A1, 101.5, 101.6)]
    (violation,) = check(LeaseHistory([seen], read), tolerance=None)
    assert "less than 6.500 s after the last renewal by our clock" in violation.sentence
    assert check(LeaseHistory([seen]), tolerance=None) == [], "nobody knows when the last renewal was"
    assert check(LeaseHistory([[*seen[:2], Glimpse(jumped, NEVER, 117.5)]], read), tolerance=None) == []


def test_events_that_arrive_late_together_prove_nothing() -> None:
    late = [Glimpse(each, NEVER, 130.0) for each in (A1, A2, tenure(3, "b", 118))]
    assert check(LeaseHistory([late]), tolerance=None) == []


def test_what_two_watches_told_is_not_compared() -> None:
    assert check(LeaseHistory([told(A1), told(tenure(3, "b", 110))])) == []
