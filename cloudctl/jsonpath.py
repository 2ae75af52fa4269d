"""kubectl's dialect of JSONPath: templates of text and `{...}`, with ranges, filters, slices, unions and recursion.

Source: "JSONPath Support" of the kubectl reference. A path that leads nowhere raises `PathError` unless missing keys are
allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""
    (?P<recursive>\.\.) | (?P<field>\.(?:[A-Za-z0-9_\-$/]|\\.)+) | (?P<star>\.\*) | (?P<dot>\.) | (?P<bracket>\[) |
    (?P<name>(?:[A-Za-z0-9_\-$/]|\\.)+) | (?P<root>[$@])
    """,
    re.VERBOSE,
)
_NUMBERS = re.compile(r"^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$")
_COMPARISON = re.compile(r"^(?P<left>.+?)\s*(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>.+)$")

Step = Callable[[list[Any]], list[Any]]


class PathError(Exception):
    """The expression is wrong, or a key that it names is not there."""


@dataclass(frozen=True)
class _Block:
    """One part of a template: `text`, or `steps` to follow, or `range` … `end`."""

    kind: str
    text: str = ""
    steps: Sequence[Step] = ()


def relaxed(expression: str) -> str:
    """The template meant by forms that people also type: `metadata.name`, `.metadata.name`, `{.metadata.name}`."""
    if "{" in expression:
        return expression
    return "{" + (expression if expression.startswith((".", "[", "$", "@")) else f".{expression}") + "}"


def render(template: str, data: Any, *, allow_missing: bool = True) -> str:
    """The template filled in with data; lists of results are joined by blanks. Raises PathError."""
    blocks = list(_blocks(template, allow_missing))
    out: list[str] = []
    _render(blocks, 0, [data], data, out)
    return "".join(out)


def find(expression: str, data: Any, *, allow_missing: bool = True) -> list[Any]:
    """Every value that one path expression leads to. Raises PathError."""
    text = relaxed(expression).strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise PathError(f"unexpected path {expression!r}")
    found = [data]
    for step in _steps(text[1:-1], allow_missing):
        found = step(found)
    return found


def show(value: Any) -> str:
    """A value as kubectl prints it: strings bare, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _render(blocks: list[_Block], position: int, current: list[Any], root: Any, out: list[str]) -> int:
    while position < len(blocks):
        block = blocks[position]
        if block.kind == "end":
            return position
        if block.kind == "text":
            out.append(block.text)
        elif block.kind == "path":
            out.append(" ".join(show(v) for v in _follow(block.steps, current)))
        elif block.kind == "range":
            items = _follow(block.steps, current)
            for item in items:
                _render(blocks, position + 1, [item], root, out)
            position = _matching_end(blocks, position)
        position += 1
    return position


def _follow(steps: Sequence[Step], values: list[Any]) -> list[Any]:
    for step in steps:
        values = step(values)
    return values


def _matching_end(blocks: list[_Block], position: int) -> int:
    depth = 0
    for index in range(position, len(blocks)):
        depth += {"range": 1, "end": -1}.get(blocks[index].kind, 0)
        if depth == 0:
            return index
    raise PathError("a {range} has no {end}")


def _blocks(template: str, allow_missing: bool) -> Iterator[_Block]:
    position = 0
    while position < len(template):
        start = template.find("{", position)
        if start < 0:
            yield _Block("text", template[position:])
            return
        if start > position:
            yield _Block("text", template[position:start])
        end = _closing(template, start, "{", "}")
        yield _block(template[start + 1 : end].strip(), allow_missing)
        position = end + 1


def _block(body: str, allow_missing: bool) -> _Block:
    if body == "end":
        return _Block("end")
    if body.startswith("range"):
        return _Block("range", steps=_steps(body[5:].strip(), allow_missing))
    if len(body) > 1 and body[0] == body[-1] and body[0] in "\"'":
        text = body[1:-1]
        return _Block(
            "text", text.encode("latin-1", "backslashreplace").decode("unicode_escape") if "\\" in text else text
        )
    return _Block("path", steps=_steps(body, allow_missing))


def _closing(text: str, start: int, opening: str, closing: str) -> int:
    """The position of the bracket that closes the one at `start`, quotes respected."""
    depth, quote, position = 0, "", start
    while position < len(text):
        char = text[position]
        if quote:
            if char == "\\":
                position += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise PathError(f"unclosed {opening!r} in {text!r}")


def _steps(path: str, allow_missing: bool) -> list[Step]:
    steps: list[Step] = []
    position, recursive = 0, False
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            if path[position] == "*":
                steps.append(_recursive(_every) if recursive else _every)
                position, recursive = position + 1, False
                continue
            raise PathError(f"unrecognized character in path: {path[position:]!r}")
        kind, position_after = str(match.lastgroup), match.end()
        step: Step | None = None
        if kind == "recursive":
            recursive, position = True, position_after
            continue
        if kind in ("field", "name") and match.group() not in ("$",):
            name = re.sub(r"\\(.)", r"\1", match.group().removeprefix(".") if kind == "field" else match.group())
            step = _field(name, allow_missing or recursive)
        elif kind == "star":
            step = _every
        elif kind == "bracket":
            end = _closing(path, position, "[", "]")
            step = _subscript(path[position + 1 : end].strip(), allow_missing)
            position_after = end + 1
        if step is not None:
            steps.append(_recursive(step) if recursive else step)
            recursive = False
        position = position_after
    return steps


def _field(name: str, allow_missing: bool) -> Step:
    def step(values: list[Any]) -> list[Any]:
        found = [value[name] for value in values if isinstance(value, dict) and name in value]
        if not found and values and not allow_missing:
            raise PathError(f"{name} is not found")
        return found

    return step


def _every(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            found += value.values()
        elif isinstance(value, list):
            found += value
    return found


def _recursive(step: Step) -> Step:
    def every_level(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            found += step([value])
            found += every_level(_every([value]))
        return found

    return every_level


def _subscript(body: str, allow_missing: bool) -> Step:
    if body == "*":
        return _every
    if body.startswith("?"):
        return _filter(body[1:].strip().removeprefix("(").removesuffix(")").strip())
    parts = _split(body)
    if len(parts) > 1:
        steps = [_subscript(part, allow_missing) for part in parts]
        return lambda values: [found for value in values for step in steps for found in step([value])]
    if body and body[0] in "\"'":
        return _field(body[1:-1], allow_missing)
    numbers = _NUMBERS.match(body)
    if numbers is None or not body:
        return _field(body, allow_missing)
    return _slice(body, numbers)


def _split(body: str) -> list[str]:
    parts, quote, last = [], "", 0
    for position, char in enumerate(body):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ",":
            parts.append(body[last:position].strip())
            last = position + 1
    return [*parts, body[last:].strip()]


def _slice(body: str, numbers: re.Match[str]) -> Step:
    first, last, pace = (int(n) if n else None for n in numbers.groups())

    def step(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                continue
            if ":" in body:
                found += value[first:last:pace]
            elif first is not None and -len(value) <= first < len(value):
                found.append(value[first])
        return found

    return step


def _filter(condition: str) -> Step:
    match = _COMPARISON.match(condition)
    if match is None:
        steps = _steps(_relative(condition), True)
        return lambda values: [item for value in values for item in _items(value) if _follow(steps, [item])]
    left, right, operator = match["left"].strip(), match["right"].strip(), match["op"]

    def step(values: list[Any]) -> list[Any]:
        return [item for value in values for item in _items(value) if _holds(item, left, operator, right)]

    return step


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _relative(text: str) -> str:
    return text.removeprefix("@")


def _operand(text: str, item: Any) -> list[Any]:
    if text.startswith("@"):
        return _follow(_steps(_relative(text), True), [item])
    if len(text) > 1 and text[0] in "\"'":
        return [text[1:-1]]
    try:
        return [json.loads(text)]
    except ValueError:
        return [text]


def _holds(item: Any, left: str, operator: str, right: str) -> bool:
    ours, theirs = _operand(left, item), _operand(right, item)
    if not ours or not theirs:
        return False
    one, other = ours[0], theirs[0]
    if operator == "==":
        return bool(one == other)
    if operator == "!=":
        return bool(one != other)
    try:
        return bool({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[operator])
    except TypeError as error:
        raise PathError(f"{show(one)} and {show(other)} cannot be compared") from error
