"""What the columns of all kinds share: the column itself, ages, joined lists, and the cells of pod templates."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api import timestamp
from api.types import Object

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, how an object's cell is computed, and whether only `-o wide` shows it.

    `cell` takes the object and the present moment. `type` and `format` are those of OpenAPI.
    """

    name: str
    cell: Callable[[Object, datetime], Any]
    wide: bool = False
    type: str = "string"
    format: str = ""

    def definition(self) -> Object:
        """The column as a Table declares it."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": "",
            "priority": 1 if self.wide else 0,
        }


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def at(path: str, default: Any = "") -> Callable[[Object, datetime], Any]:
    """The cell that shows the value at a dotted path, or `default` where there is none."""
    parts = path.split(".")

    def cell(obj: Object, _: datetime) -> Any:
        value: Any = obj
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None or value == "" else value

    return cell


def of(show: Callable[[Object], Any]) -> Callable[[Object, datetime], Any]:
    """A cell that does not depend on the time."""
    return lambda obj, _: show(obj)


def dig(obj: Object, *names: str) -> Any:
    """The value under nested names, or None."""
    value: Any = obj
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def duration(seconds: float) -> str:
    """A length of time as kubectl prints it: two units at most, fewer the longer it is (`90s`, `5m30s`, `5d12h`, `2y`)."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 24 * 8:
        return _two(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    if hours < 24 * 365 * 8:
        return _two(hours // 24 // 365, "y", hours // 24 % 365, "d")
    return f"{hours // 24 // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def since(moment: str | None, present: datetime) -> str:
    """How long ago a Time was, or `<unknown>`."""
    if not moment:
        return UNKNOWN
    return duration((present - timestamp.parse(moment)).total_seconds())


def age(obj: Object, present: datetime) -> str:
    """The object's age."""
    return since(obj["metadata"].get("creationTimestamp"), present)


def name(obj: Object) -> str:
    """The object's name."""
    return str(obj["metadata"].get("name", ""))


def selector(labels: Mapping[str, str] | None) -> str:
    """Labels as `a=b,c=d`, sorted, or `<none>`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def label_selector(found: Object | None) -> str:
    """A label selector in the form of `-l`; `<none>` for one that selects everything."""
    found = found or {}
    parts = [f"{key}={value}" for key, value in sorted((found.get("matchLabels") or {}).items())]
    for each in found.get("matchExpressions") or ():
        key, operator, values = each.get("key", ""), each.get("operator"), ",".join(sorted(each.get("values") or ()))
        if operator == "In":
            parts.append(f"{key} in ({values})")
        elif operator == "NotIn":
            parts.append(f"{key} notin ({values})")
        else:
            parts.append(key if operator == "Exists" else f"!{key}")
    return ",".join(parts) or NONE


def joined(values: Iterable[Any] | None, limit: int = 0) -> str:
    """Values with commas between, `<none>` if there are none; past `limit` a count of the rest."""
    found = [str(value) for value in values or ()]
    if limit and len(found) > limit:
        return ",".join(found[:limit]) + f" + {len(found) - limit} more..."
    return ",".join(found) or NONE


def containers(spec: Object | None) -> list[Object]:
    """The containers of a pod spec."""
    return list((spec or {}).get("containers") or ())


NAME = Column("Name", of(name), format="name")
AGE = Column("Age", age)
CREATED_AT = Column("Created At", at("metadata.creationTimestamp"), type="date")
DEFAULT = (NAME, CREATED_AT)


def template_columns(*path: str) -> tuple[Column, Column]:
    """The wide columns Containers and Images of a kind whose pod spec stands at `path`."""
    return (
        Column("Containers", of(lambda obj: joined(c.get("name") for c in containers(dig(obj, *path)))), wide=True),
        Column("Images", of(lambda obj: joined(c.get("image") for c in containers(dig(obj, *path)))), wide=True),
    )
