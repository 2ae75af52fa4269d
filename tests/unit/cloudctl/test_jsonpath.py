"""kubectl's JSONPath dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudctl import jsonpath

DATA = {
    "items": [
        {
            "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}},
            "status": {"n": 3, "conditions": [{"type": "Ready", "status": "True"}, {"type": "Old", "status": "False"}]},
        },
        {"metadata": {"name": "b"}, "status": {"n": 1}},
    ]
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{.items[0].metadata.name}", "a"),
        ("{$.items[1].metadata.name}", "b"),
        ("{@.items[1].metadata.name}", "b"),
        ("{.items[*].metadata.name}", "a b"),
        ("{.items[-1].metadata.name}", "b"),
        ("{.items[0:1].metadata.name}", "a"),
        ("{.items[-1:].metadata.name}", "b"),
        ("{.items[0,1].metadata.name}", "a b"),
        ("{.items[7].metadata.name}", ""),
        ("{..name}", "a b"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.status.n}{"\\n"}{end}', "a\t3\nb\t1\n"),
        ('{.items[0].status.conditions[?(@.type=="Ready")].status}', "True"),
        ("{.items[?(@.status.n>2)].metadata.name}", "a"),
        ("{.items[?(@.status.conditions)].metadata.name}", "a"),
        ("{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "x"),
        ("{.items[0].metadata.labels['app.kubernetes.io/name']}", "x"),
        ("{.items[0].metadata['name', 'labels']}", 'a {"app.kubernetes.io/name":"x"}'),
        ("{.items[0].status.n}", "3"),
        ("name={.items[0].metadata.name};", "name=a;"),
        ("{.nothing.at.all}", ""),
        ("plain text", "plain text"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert jsonpath.render(template, DATA) == expected


@pytest.mark.parametrize("template", ["{.items[0}", "{.items", "{range .items[*]}{.metadata.name}", "{.items[?(@.n}"])
def test_broken_templates_are_errors(template: str) -> None:
    with pytest.raises(jsonpath.PathError):
        jsonpath.render(template, DATA)


def test_a_missing_key_is_an_error_where_that_is_asked_for() -> None:
    with pytest.raises(jsonpath.PathError, match="nothing is not found"):
        jsonpath.render("{.nothing}", DATA, allow_missing=False)


@pytest.mark.parametrize("path", ["metadata.name", ".metadata.name", "{.metadata.name}"])
def test_paths_may_be_written_short(path: str) -> None:
    assert jsonpath.find(path, DATA["items"][1]) == ["b"]


@given(st.text(max_size=40))
def test_no_text_does_worse_than_a_path_error(text: str) -> None:
    try:
        jsonpath.render(text, DATA)
    except jsonpath.PathError:
        return
