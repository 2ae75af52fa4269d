"""The tables that the server makes (`meta.k8s.io/v1 Table`), printed as kubectl prints them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.types import Object, Resource
from cloudctl.printers import NONE
from cloudctl.table import render

ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

_GOOD = {"Running", "Ready", "Active", "Bound", "Completed", "Succeeded", "Available", "Complete", "True"}
_BAD = {
    "Error",
    "Failed",
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "NotReady",
    "Lost",
    "OOMKilled",
    "Evicted",
    "CreateContainerConfigError",
    "CreateContainerError",
    "InvalidImageName",
    "Unknown",
    "Warning",
}
_WAITING = {"Pending", "ContainerCreating", "Terminating", "PodInitializing", "Released", "SchedulingDisabled"}  # fmt: skip
_COLOURS = {**dict.fromkeys(_GOOD, "32"), **dict.fromkeys(_BAD, "31"), **dict.fromkeys(_WAITING, "33")}


@dataclass(frozen=True)
class Layout:
    """Which columns to show: `wide` ones, the namespace, labels as columns or as one column; and how to name objects."""

    wide: bool = False
    with_namespace: bool = False
    show_labels: bool = False
    label_columns: Sequence[str] = ()
    no_headers: bool = False
    prefix: str = ""
    colour: bool = False


def colour_wanted() -> bool:
    """Colour is for terminals only."""
    return sys.stdout.isatty()


def _paint(header: str, cell: str) -> str:
    if header not in ("STATUS", "READY", "TYPE", "REASON"):
        return cell
    if header == "READY" and "/" in cell:
        have, _, want = cell.partition("/")
        return cell if have == want else f"\x1b[33m{cell}\x1b[0m"
    code = _COLOURS.get(cell.partition(",")[0].removeprefix("Init:"))
    return f"\x1b[{code}m{cell}\x1b[0m" if code else cell


class TablePrinter:
    """Prints Tables of one resource; later calls continue below the same headers, as a watch needs."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._columns: list[Object] = []
        self._headers_shown = layout.no_headers

    def show(self, table: Object) -> str:
        """The lines of a table, headers first if this is the first one; the server sends columns with the first only."""
        self._columns = table.get("columnDefinitions") or self._columns
        layout = self._layout
        shown = [i for i, c in enumerate(self._columns) if layout.wide or not c.get("priority")]
        headers = [self._columns[i]["name"].upper() for i in shown]
        rows = [self._row(row, shown) for row in table.get("rows") or ()]
        if layout.with_namespace:
            headers.insert(0, "NAMESPACE")
        headers += [label.rpartition("/")[2].upper() for label in layout.label_columns]
        if layout.show_labels:
            headers.append("LABELS")
        text = render(headers, rows, _paint if layout.colour else None)
        lines = text.split("\n")
        visible = lines[1:] if self._headers_shown else lines
        self._headers_shown = True
        return "\n".join(visible)

    def _row(self, row: Object, shown: list[int]) -> list[str]:
        layout = self._layout
        cells = [_cell(row["cells"][i]) if i < len(row["cells"]) else "" for i in shown]
        meta = (row.get("object") or {}).get("metadata") or {}
        if layout.prefix and cells:
            cells[0] = layout.prefix + cells[0]
        if layout.with_namespace:
            cells.insert(0, meta.get("namespace", ""))
        labels = meta.get("labels") or {}
        cells += [labels.get(label, "") for label in layout.label_columns]
        if layout.show_labels:
            cells.append(",".join(f"{k}={v}" for k, v in sorted(labels.items())) or NONE)
        return cells


def _cell(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def of_objects(resource: Resource, items: Sequence[Object], age: Callable[[str], str]) -> Object:
    """A Table of names and ages, for servers that answer with objects where a table was asked for."""
    rows = [
        {"cells": [item["metadata"]["name"], age(item["metadata"].get("creationTimestamp", ""))], "object": item}
        for item in items
    ]
    return {"kind": "Table", "columnDefinitions": [{"name": "Name"}, {"name": "Age"}], "rows": rows}
