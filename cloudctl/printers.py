"""Objects as text: yaml, json, name, jsonpath and custom columns. Tables are printed by `tables`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from api.types import Object, Resource
from cloudctl import jsonpath
from cloudctl.faults import Fault
from cloudctl.table import render

FORMATS = "json|yaml|name|wide|jsonpath=…|jsonpath-file=…|custom-columns=…|custom-columns-file=…"
NONE = "<none>"


class _Dumper(yaml.SafeDumper):
    """Block style, long texts readable, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _text)


def to_yaml(obj: Any) -> str:
    """As kubectl prints YAML: sorted keys, lists not indented."""
    return yaml.dump(obj, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=100_000)


def to_json(obj: Any) -> str:
    """As kubectl prints JSON: four blanks."""
    return json.dumps(obj, indent=4, ensure_ascii=False) + "\n"


def plain(obj: Object, *, managed_fields: bool = False) -> Object:
    """The object without `metadata.managedFields`, which nobody reads, unless asked for; lists are treated item by item."""
    if managed_fields:
        return obj
    if isinstance(obj.get("items"), list) and "kind" in obj:
        return {**obj, "items": [plain(item) for item in obj["items"]]}
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}


def is_text(output: str) -> bool:
    """Whether the format is none of the tables."""
    return output not in ("", "wide")


def printer(output: str) -> Callable[[Object], str]:
    """The function that turns an object, or a List, into text. Raises Fault for a format that is not known."""
    name, _, argument = output.partition("=")
    if name == "json":
        return to_json
    if name == "yaml":
        return to_yaml
    if name == "jsonpath-file":
        name, argument = "jsonpath", _file(argument)
    if name == "custom-columns-file":
        return _columns_file(_file(argument))
    if name in ("jsonpath", "jsonpath-as-json"):
        if not argument:
            raise Fault(f"template format specified but no template given: -o {name}=…")
        return lambda obj: _jsonpath(argument, obj, as_json=name == "jsonpath-as-json")
    if name == "custom-columns":
        return _custom_columns([_column(spec) for spec in argument.split(",")])
    raise Fault(f'unable to match a printer suitable for the output format "{output}", allowed formats are: {FORMATS}')


def qualified(resource: Resource, name: str) -> str:
    """`pod/web` or `deployment.apps/web`: how kubectl names an object."""
    return f"{resource.singular}.{resource.group}/{name}" if resource.group else f"{resource.singular}/{name}"


def _file(path: str) -> str:
    try:
        return Path(path).read_text().strip("\n")
    except OSError as error:
        raise Fault(f"the path {path!r} cannot be read: {error.strerror}") from error


def _jsonpath(template: str, obj: Object, *, as_json: bool) -> str:
    try:
        if as_json:
            return to_json(jsonpath.find(template, obj))
        return jsonpath.render(jsonpath.relaxed(template), obj)
    except jsonpath.PathError as error:
        raise Fault(f"error executing jsonpath {template!r}: {error}") from error


def _column(spec: str) -> tuple[str, str]:
    header, colon, path = spec.partition(":")
    if not colon or not header or not path:
        raise Fault(f"unexpected custom-columns spec: {spec}, expected <header>:<json-path-expr>")
    return header, path


def _columns_file(text: str) -> Callable[[Object], str]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) != 2 or len(lines[0]) != len(lines[1]):
        raise Fault("a custom-columns file has a line of headers and a line of paths, as many of one as of the other")
    return _custom_columns(list(zip(*lines, strict=True)))


def _custom_columns(columns: Sequence[tuple[str, str]]) -> Callable[[Object], str]:
    def show(obj: Object) -> str:
        items = obj["items"] if "items" in obj and str(obj.get("kind", "")).endswith("List") else [obj]
        rows = [[_cell(path, item) for _, path in columns] for item in items]
        return render([header for header, _ in columns], rows) + "\n"

    return show


def _cell(path: str, item: Object) -> str:
    try:
        found = jsonpath.find(path, item)
    except jsonpath.PathError as error:
        raise Fault(str(error)) from error
    return ",".join("<nil>" if value is None else jsonpath.show(value) for value in found) or NONE
