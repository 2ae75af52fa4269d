"""Quantities: what they mean, and the form in which the API gives them back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", Decimal("0.1")),
        ("1.5", Decimal("1.5")),
        ("128Mi", Decimal(128 * 2**20)),
        ("2e3", Decimal(2000)),
        ("2E", Decimal(2) * 10**18),
        ("-1k", Decimal(-1000)),
        (".5", Decimal("0.5")),
    ],
)
def test_a_quantity_is_an_exact_number(text: str, number: Decimal) -> None:
    assert quantity.parse(text) == number


@pytest.mark.parametrize("text", ["", "abc", "1 Mi", "1mi", "1KB", "1.2.3", "0x10", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("1024Ki", "1Mi"),
        ("1536Mi", "1536Mi"),
        ("1000", "1k"),
        ("0.5", "500m"),
        ("1500m", "1500m"),
        ("0", "0"),
        ("0Mi", "0"),
        ("1e3", "1e3"),
        ("100Mi", "100Mi"),
    ],
)
def test_the_canonical_form_keeps_the_family_of_the_suffix(text: str, form: str) -> None:
    assert quantity.canonical(text) == form


def test_millicores_and_bytes_are_rounded_up() -> None:
    assert quantity.milli("0.0001") == 1
    assert quantity.value("0.1") == 1


@given(st.integers(-(10**15), 10**15), st.sampled_from(["", "m", "k", "M", "Ki", "Mi", "Gi"]))
def test_the_canonical_form_has_the_same_value(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert quantity.parse(quantity.canonical(text)) == quantity.parse(text)
