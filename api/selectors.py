"""Label and field selectors: parsed once, matched often.

Grammar: the API reference, "Labels and Selectors" and "Field Selectors". Parsing raises ValueError with a sentence that
names the part it does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from api.types import Object

_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<akey>[^\s,()=!<>]+)"
    r"|(?P<skey>[^\s,()=!<>]+)\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\)"
    r"|(?P<key>[^\s,()=!<>]+)\s*(?:(?P<op>==|!=|=|<|>)\s*(?P<value>[^\s,()=!<>]*))?)\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: `operator` is In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = labels.get(self.key)
        match self.operator:
            case "In":
                return present in self.values
            case "NotIn":
                return present not in self.values
            case "Exists":
                return present is not None
            case "DoesNotExist":
                return present is None
        if present is None:
            return False
        try:
            left, right = int(present), int(next(iter(self.values)))
        except ValueError:
            return False
        return left > right if self.operator == "Gt" else left < right


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold. Without requirements it matches everything, unless `nothing` is set."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

    @property
    def is_everything(self) -> bool:
        """Whether no object can fail it."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(_term(r) for r in self.requirements)


NOTHING = LabelSelector(nothing=True)


def _term(r: Requirement) -> str:
    values = ",".join(sorted(r.values))
    match r.operator:
        case "In" if len(r.values) == 1:
            return f"{r.key}={values}"
        case "In":
            return f"{r.key} in ({values})"
        case "NotIn":
            return f"{r.key} notin ({values})"
        case "Exists":
            return r.key
        case "DoesNotExist":
            return f"!{r.key}"
    return f"{r.key}{'>' if r.operator == 'Gt' else '<'}{values}"


def _checked(key: str, operator: str, values: frozenset[str]) -> Requirement:
    if not _KEY.fullmatch(key):
        raise ValueError(f"invalid label key {key!r}")
    for value in values:
        if not _VALUE.fullmatch(value):
            raise ValueError(f"invalid label value {value!r} for key {key!r}")
    return Requirement(key, operator, values)


def parse_label_selector(text: str) -> LabelSelector:
    """`app=web,tier in (a,b),!legacy` → a selector; empty text matches everything."""
    requirements, position = [], 0
    while position < len(text) and text[position:].strip():
        term = _TERM.match(text, position)
        if not term:
            raise ValueError(f"unable to parse requirement: {text[position:].strip()!r}")
        position = term.end()
        if term["absent"]:
            requirements.append(_checked(term["akey"], "DoesNotExist", frozenset()))
        elif term["set"]:
            values = frozenset(v.strip() for v in term["values"].split(","))
            requirements.append(_checked(term["skey"], "In" if term["set"] == "in" else "NotIn", values))
        elif not term["op"]:
            requirements.append(_checked(term["key"], "Exists", frozenset()))
        else:
            operator = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}[term["op"]]
            requirements.append(_checked(term["key"], operator, frozenset((term["value"],))))
    return LabelSelector(tuple(requirements))


def from_map(labels: Mapping[str, str] | None) -> LabelSelector:
    """The selector of a Service or ReplicationController: every pair must be there. None matches nothing."""
    if labels is None:
        return NOTHING
    return LabelSelector(tuple(Requirement(k, "In", frozenset((v,))) for k, v in labels.items()))


def from_object(selector: Object | None) -> LabelSelector:
    """A LabelSelector object. None matches nothing, `{}` everything (Kubernetes' LabelSelectorAsSelector)."""
    if selector is None:
        return NOTHING
    terms = [Requirement(k, "In", frozenset((v,))) for k, v in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        terms.append(Requirement(expression["key"], expression["operator"], frozenset(expression.get("values") or ())))
    return LabelSelector(tuple(terms))


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Terms of (field path, wanted value, equal?); a field that is missing counts as empty."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(path, "") == value) == equal for path, value, equal in self.terms)

    def exact(self, path: str) -> str | None:
        """The one value that `path` must have, or None when the selector leaves it open."""
        return next((value for field, value, equal in self.terms if field == path and equal), None)


def parse_field_selector(text: str) -> FieldSelector:
    """`spec.nodeName=a,status.phase!=Running` → a selector; whether the fields exist is the caller's to check."""
    terms = []
    for part in filter(None, text.split(",")):
        path, operator, value = _split_field(part)
        terms.append((path.strip(), value, operator != "!="))
    return FieldSelector(tuple(terms))


def _split_field(part: str) -> tuple[str, str, str]:
    for operator in ("!=", "==", "="):
        if operator in part:
            path, _, value = part.partition(operator)
            return path, operator, value
    raise ValueError(
        f"invalid field selector {part!r}: can't understand it, want field=value, field==value or field!=value"
    )
