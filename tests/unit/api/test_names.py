"""The small rules: names of every sort, ports, addresses, cron schedules."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.validation import cron, names


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns_label, ["a", "a-1", "1a", "a" * 63], ["", "A", "-a", "a-", "a.b", "a" * 64, "a\n"]),
        (names.dns_subdomain, ["a", "a.b", "1.2", "a" * 253], ["", "a..b", ".a", "a_b", "a" * 254]),
        (names.dns_1035_label, ["a", "a1"], ["1a", "a.b", "a" * 64]),
        (names.qualified, ["a", "A_b.c", "example.com/Name"], ["", "a/", "/a", "a/b/c", "-a", "Ex.com/a", "a" * 64]),
        (names.label_value, ["", "a", "A_b.c-d", "1"], ["-", "a b", "a" * 64]),
        (names.config_key, ["a", ".a", "A-b_c"], ["", "a b", "a/b", ".", "..", "..a", "a" * 254]),
        (names.env_name, ["A", "a.b", "a-b", "1"], ["", "a=b", "é"]),
        (names.port_name, ["http", "a1", "a-b"], ["", "A", "1", "-a", "a-", "a--b", "a" * 16]),
        (names.path_segment, ["a:b", "A"], [".", "..", "a/b", "a%b"]),
        (names.ip, ["10.0.0.1", "2001:db8::1"], ["", "10.0.0", "10.0.0.256", "010.0.0.1"]),
        (names.cidr, ["10.0.0.0/8", "2001:db8::/64"], ["10.0.0.0", "10.0.0.0/33", "x/8"]),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_rules_know_good_from_bad(rule: Callable[[str], list[str]], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if rule(text)] == []
    assert [text for text in bad if not rule(text)] == []


@given(st.text(max_size=70))
def test_every_label_is_a_subdomain_and_a_label_value(text: str) -> None:
    if not names.dns_label(text):
        assert not names.dns_subdomain(text)
        assert not names.label_value(text)


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "*/5 0-6,12 1 jan-mar MON", "@daily", "@every 5m", "0 0 1 1 0", "? * * * *", "1-10/2 * * * *"],
)
def test_schedules_that_run(schedule: str) -> None:
    assert cron.problems(schedule) == []


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("", "expected exactly 5 fields, found 0"),
        ("* * * *", "expected exactly 5 fields, found 4"),
        ("60 * * * *", "end of range (60) above maximum (59)"),
        ("* * 0 * *", "beginning of range (0) below minimum (1)"),
        ("5-1 * * * *", "beyond end of range"),
        ("*/0 * * * *", "step of range should be a positive number"),
        ("1-2-3 * * * *", "too many hyphens"),
        ("x * * * *", "failed to parse int from x"),
        ("@sometimes", "unrecognized descriptor"),
    ],
)
def test_schedules_that_do_not(schedule: str, why: str) -> None:
    (said,) = cron.problems(schedule)
    assert why in said
