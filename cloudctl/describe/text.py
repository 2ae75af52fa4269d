"""Lines of a description: a tree of labels and values with aligned values, as kubectl prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudctl.durations import age
from cloudctl.printers import NONE
from cloudctl.table import render

STEP = "  "


class Page:
    """Collects lines. `put` adds a label and its value; `section` opens an indented part."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []

    def put(self, label: str, value: object = "", depth: int = 0) -> None:
        """One line; several lines of a value stand below one another."""
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        first, *rest = text.split("\n")
        self._lines.append((f"{STEP * depth}{label}:", first))
        self._lines += [("", line) for line in rest]

    def some(self, label: str, value: object, depth: int = 0) -> None:
        """One line, if there is a value."""
        if value not in (None, "", [], {}):
            self.put(label, value, depth)

    def mapping(self, label: str, values: Mapping[str, Any] | None, depth: int = 0, mark: str = "=") -> None:
        """Labels or annotations, one per line."""
        lines = [f"{key}{mark}{_short(str(value))}" for key, value in sorted((values or {}).items())]
        self.put(label, "\n".join(lines) or NONE, depth)

    def table(self, label: str, headers: Sequence[str], rows: Sequence[Sequence[str]], depth: int = 0) -> None:
        """A table below its label; `<none>` without rows."""
        if not rows:
            self.put(label, NONE, depth)
            return
        rule = ["-" * len(header) for header in headers]
        self.line(f"{STEP * depth}{label}:")
        for line in render(headers, [rule, *rows]).split("\n"):
            self.line(f"{STEP * (depth + 1)}{line}")

    def line(self, text: str) -> None:
        """A line as it is."""
        self._lines.append((text, "\0"))

    def text(self) -> str:
        """Everything, values aligned to the widest label of their neighbours."""
        width = max((len(label) for label, value in self._lines if value not in ("", "\0")), default=0) + 2
        return "\n".join(
            label if value == "\0" else f"{label:<{width}}{value}".rstrip() for label, value in self._lines
        )


def _short(value: str, most: int = 140) -> str:
    line = value.replace("\n", " ").strip()
    return line if len(line) <= most else f"{line[:most]}..."


def since(moment: str | None) -> str:
    """How long ago, for a timestamp or nothing."""
    return age(moment) if moment else "<unknown>"


def joined(values: Sequence[object] | None) -> str:
    """A comma list, or `<none>`."""
    return ",".join(map(str, values or ())) or NONE


def labels(values: Mapping[str, str] | None) -> str:
    """A selector on one line, or `<none>`."""
    return ",".join(f"{k}={v}" for k, v in sorted((values or {}).items())) or NONE


def resources(values: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Resource names with their quantities."""
    return sorted((key, str(value)) for key, value in (values or {}).items())
