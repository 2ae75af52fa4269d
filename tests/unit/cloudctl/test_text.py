"""Durations, tables, columns, names and sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api import resources
from api.errors import Invalid, NotFound, ServiceUnavailable
from cloudctl import durations, printers, tables
from cloudctl.faults import Fault, sentence
from cloudctl.globals import Globals, take
from cloudctl.table import render

TABLE = {
    "kind": "Table",
    "columnDefinitions": [{"name": "Name"}, {"name": "Ready"}, {"name": "IP", "priority": 1}],
    "rows": [
        {"cells": ["a", "1/1", None], "object": {"metadata": {"namespace": "x", "labels": {"app": "web", "b": "c"}}}},
        {"cells": ["longer", "0/1", "10.0.0.1"], "object": {"metadata": {"namespace": "y"}}},
    ],
}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("1.5m", 90), ("250ms", 0.25), ("7", 7), ("-1s", -1)]
)
def test_durations(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5x", "m", "1h 3m", "-"])
def test_bad_durations_say_how_to_write_one(text: str) -> None:
    with pytest.raises(Fault, match="30s, 5m or 1h30m"):
        durations.seconds(text)


def test_an_age_counts_from_creation() -> None:
    assert durations.age("2026-01-01T00:00:00Z", datetime(2026, 1, 1, 0, 3, 4, tzinfo=UTC)) == "3m4s"
    assert durations.age("") == "<unknown>"


def test_columns_are_aligned_and_nothing_trails() -> None:
    assert render(["A", "LONG"], [["xyz", ""], ["x", "y"]]) == "A     LONG\nxyz\nx     y"
    assert render([], []) == ""


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (tables.Layout(), "NAME     READY\na        1/1\nlonger   0/1"),
        (tables.Layout(wide=True), "NAME     READY   IP\na        1/1     <none>\nlonger   0/1     10.0.0.1"),
        (tables.Layout(no_headers=True), "a        1/1\nlonger   0/1"),
        (tables.Layout(with_namespace=True),
         "NAMESPACE   NAME     READY\nx           a        1/1\ny           longer   0/1"),
        (tables.Layout(prefix="pod/"), "NAME         READY\npod/a        1/1\npod/longer   0/1"),
        (tables.Layout(show_labels=True, label_columns=["app"]),
         "NAME     READY   APP   LABELS\na        1/1     web   app=web,b=c\nlonger   0/1           <none>"),
    ],
)  # fmt: skip
def test_tables(layout: tables.Layout, expected: str) -> None:
    assert tables.TablePrinter(layout).show(TABLE) == expected


def test_a_watch_prints_headers_once_and_keeps_columns() -> None:
    printer = tables.TablePrinter(tables.Layout())
    printer.show(TABLE)
    assert printer.show({"kind": "Table", "rows": [{"cells": ["b", "1/1", ""]}]}) == "b      1/1"


def test_colour_marks_states_only() -> None:
    text = tables.TablePrinter(tables.Layout(colour=True)).show(
        {"columnDefinitions": [{"name": "Name"}, {"name": "Status"}],
         "rows": [{"cells": ["Running", "Running"]}, {"cells": ["b", "Init:Error"]}]}
    )  # fmt: skip
    assert "\nRunning   \x1b[32mRunning\x1b[0m\n" in text
    assert "\x1b[31mInit:Error\x1b[0m" in text


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("jsonpath={.metadata.name}", "web"),
        ("jsonpath=.metadata.name", "web"),
        ("custom-columns=NAME:.metadata.name,X:.spec.none", "NAME   X\nweb    <none>\n"),
        ("json", '{\n    "metadata": {\n        "name": "web"\n    }\n}\n'),
        ("yaml", "metadata:\n  name: web\n"),
    ],
)
def test_formats(output: str, expected: str) -> None:
    assert printers.printer(output)({"metadata": {"name": "web"}}) == expected


@pytest.mark.parametrize("output", ["xml", "jsonpath", "jsonpath=", "custom-columns=A", "jsonpath-file=/no/such/file"])
def test_unknown_formats_are_faults(output: str) -> None:
    with pytest.raises(Fault):
        printers.printer(output)


def test_objects_are_named_as_kubectl_names_them() -> None:
    assert printers.qualified(resources.PODS, "a") == "pod/a"
    assert printers.qualified(resources.DEPLOYMENTS, "a") == "deployment.apps/a"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotFound('pods "x" not found'), 'Error from server (NotFound): pods "x" not found'),
        (Invalid('Pod "x" is invalid: [a: Required value,\n b: Forbidden]'),
         'The Pod "x" is invalid: [a: Required value, b: Forbidden]'),
        (ServiceUnavailable("the API server 127.0.0.1:6443 does not answer: refused"),
         "error: the API server 127.0.0.1:6443 does not answer: refused; is the cluster running (`cloudctl up`)?"),
    ],
)  # fmt: skip
def test_errors_are_one_line(error: Any, text: str) -> None:
    assert sentence(error) == text


@pytest.mark.parametrize(
    ("args", "flags", "rest"),
    [
        (["-n", "x", "get", "pods"], {"namespace": "x"}, ["get", "pods"]),
        (["get", "pods", "--namespace=x"], {"namespace": "x"}, ["get", "pods"]),
        (["get", "-nx", "pods"], {"namespace": "x"}, ["get", "pods"]),
        (["exec", "p", "--", "ls", "-n", "1"], {}, ["exec", "p", "--", "ls", "-n", "1"]),
        (["get", "pods", "--as", "bob", "--context=c"], {"impersonate": "bob", "context": "c"}, ["get", "pods"]),
        (["up", "--nodes", "2"], {}, ["up", "--nodes", "2"]),
    ],
)
def test_global_flags_may_stand_anywhere(args: list[str], flags: dict[str, str], rest: list[str]) -> None:
    assert take(args) == (Globals(**flags), rest)


def test_a_global_flag_without_its_value_is_a_fault() -> None:
    with pytest.raises(Fault, match="flag needs an argument: -n"):
        take(["get", "pods", "-n"])
