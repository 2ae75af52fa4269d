"""Columns of text, as kubectl lays them out: three blanks between, nothing after the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

GAP = 3


def render(
    headers: Sequence[str], rows: Sequence[Sequence[str]], paint: Callable[[str, str], str] | None = None
) -> str:
    """The lines joined by newlines. Empty `headers` are left out. `paint(header, cell)` may colour a cell."""
    lines = [list(headers), *map(list, rows)] if headers else [list(row) for row in rows]
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(max(map(len, lines)))]
    texts = []
    for number, line in enumerate(lines):
        cells = []
        for i, cell in enumerate(line):
            padding = " " * (widths[i] - len(cell) + GAP) if i < len(line) - 1 else ""
            shown = paint(headers[i], cell) if paint and headers and number else cell
            cells.append(shown + padding)
        texts.append("".join(cells).rstrip())
    return "\n".join(texts)
