"""Label and field selectors: what they match, and what is said of one that cannot be read."""

import pytest

from api import selectors

LABELS = {"app": "web", "tier": "front", "weight": "7"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("app in (web, api)", True),
        ("app notin (web)", False),
        ("absent notin (x)", True),
        ("app", True),
        ("!app", False),
        ("!absent", True),
        ("weight>5,weight<8", True),
        ("weight>7", False),
        ("absent>1", False),
    ],
)
def test_every_requirement_must_hold(text: str, matches: bool) -> None:
    assert selectors.parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["a b", "=x", "a,,b", "a=(", "a in b", "a in (b", "-a=b"])
def test_a_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unable to parse|invalid label"):
        selectors.parse_label_selector(text)


@pytest.mark.parametrize("text", ["app=web", "app in (a,b)", "!x", "x", "app notin (a)"])
def test_a_selector_reads_back_what_it_writes(text: str) -> None:
    parsed = selectors.parse_label_selector(text)
    assert selectors.parse_label_selector(str(parsed)) == parsed


def test_no_selector_object_matches_nothing_and_an_empty_one_everything() -> None:
    assert not selectors.from_object(None).matches(LABELS)
    assert selectors.from_object({}).matches(LABELS)
    assert not selectors.from_map(None).matches(LABELS)


def test_a_selector_object_joins_labels_and_expressions() -> None:
    chosen = selectors.from_object(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}]}
    )
    assert chosen.matches(LABELS)
    assert not chosen.matches({"app": "web", "tier": "back"})


def test_a_field_selector_treats_a_missing_field_as_empty() -> None:
    chosen = selectors.parse_field_selector("spec.nodeName=,status.phase!=Running")
    assert chosen.matches({"status.phase": "Pending"})
    assert not chosen.matches({"spec.nodeName": "n", "status.phase": "Pending"})
    assert chosen.exact("spec.nodeName") == ""
    assert chosen.exact("status.phase") is None


def test_a_field_selector_without_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="want field=value"):
        selectors.parse_field_selector("spec.nodeName")
