"""Objects from files, folders and stdin, each with the file it came from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from api.types import Object
from cloudctl.faults import Fault

_ENDINGS = (".yaml", ".yml", ".json")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(_Loader):  # type: ignore[misc]
    """Timestamps stay strings, because JSON has none."""


_Strict.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in _Loader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Manifest:
    """One object and where it was read."""

    source: str
    obj: Object


def read(names: Sequence[str], *, recursive: bool = False) -> list[Manifest]:
    """Every object of these files, folders or `-` for stdin; Lists are taken apart. Raises Fault."""
    found: list[Manifest] = []
    for name in names:
        for source, text in _texts(name, recursive):
            for number, document in enumerate(_documents(source, text), 1):
                found += _objects(source, number, document)
    if names and not found:
        raise Fault("no objects passed to apply" if "-" in names else f"no objects found in {', '.join(names)}")
    return found


def _texts(name: str, recursive: bool) -> Iterator[tuple[str, str]]:
    if name == "-":
        yield "STDIN", sys.stdin.read()
        return
    if name.startswith(("http://", "https://")):
        raise Fault(f"{name}: manifests are read from files, folders and stdin; fetch it first")
    path = Path(name)
    if path.is_dir():
        entries = path.rglob("*") if recursive else path.glob("*")
        for entry in sorted(entries):
            if entry.suffix in _ENDINGS and entry.is_file():
                yield str(entry), _read(entry)
        return
    yield name, _read(path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Fault(f'the path "{path}" does not exist') from error
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f'the path "{path}" cannot be read: {error}') from error


def _documents(source: str, text: str) -> list[Any]:
    try:
        return list(yaml.load_all(text, Loader=_Strict))
    except yaml.YAMLError as error:
        why = " ".join(str(error).split())
        raise Fault(f"error parsing {source}: {why}") from error


def _objects(source: str, number: int, document: Any) -> list[Manifest]:
    if document is None:
        return []
    where = source if number == 1 else f"{source}, document {number}"
    if not isinstance(document, dict):
        raise Fault(f"error parsing {where}: an object is wanted, not {type(document).__name__}")
    missing = [field for field in ("apiVersion", "kind") if not isinstance(document.get(field), str)]
    if missing:
        raise Fault(f'error validating "{where}": {", ".join(f"{field} not set" for field in missing)}')
    if document["kind"] == "List":
        return [entry for item in document.get("items") or () for entry in _objects(source, number, item)]
    if not isinstance(document.get("metadata", {}), dict):
        raise Fault(f'error validating "{where}": metadata must be a mapping')
    return [Manifest(source, document)]


def parse(text: str) -> Object:
    """The one object of a text. Raises yaml.YAMLError, Fault."""
    document = yaml.load(text, Loader=_Strict)  # noqa: S506 - derived from the safe loader
    if not isinstance(document, dict):
        raise Fault("an object is wanted")
    return document
