"""Query parameters and option bodies, checked: what a list, a watch, a write or a deletion may say."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache

import orjson

from api import errors, selectors
from api.errors import FieldError, Invalid
from api.types import Object, Resource
from apiserver import fields
from apiserver.cache import Selection
from apiserver.request import Request

EXACT, NOT_OLDER = "Exact", "NotOlderThan"
_FIELD_VALIDATION = ("", "Ignore", "Warn", "Strict")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list or watch asks for. `version` is None when not given; `after` and `at` come from a continue token."""

    selection: Selection
    limit: int = 0
    version: int | None = None
    match: str = ""
    after: str = ""
    at: int = 0
    """Revision the pages before this one were read at; -1: go on at the newest (an inconsistent token)."""
    continuing: bool = False


def bad_options(kind: str, found: list[FieldError]) -> Invalid:
    """422 for options, in Kubernetes' words."""
    said = ", ".join(str(error) for error in found)
    text = f"[{said}]" if len(found) > 1 else said
    causes = [{"reason": "FieldValueForbidden", "message": e.message(), "field": e.path} for e in found]
    return Invalid(
        f'{kind}.meta.k8s.io "" is invalid: {text}', {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    )


@lru_cache(maxsize=1024)
def _label_selector(text: str) -> selectors.LabelSelector:
    return selectors.parse_label_selector(text)


@lru_cache(maxsize=1024)
def _field_selector(text: str) -> selectors.FieldSelector:
    return selectors.parse_field_selector(text)


def selection(request: Request, resource: Resource) -> Selection:
    """The label and field selectors of a request within its namespace. Raises BadRequest."""
    namespace = request.info.namespace if resource.namespaced else ""
    labels_text, fields_text = request.query.get("labelSelector"), request.query.get("fieldSelector")
    name = request.info.name if request.info.verb == "watch" else ""
    if not labels_text and not fields_text:
        return Selection(namespace, name)
    try:
        labels = _label_selector(labels_text or "")
        chosen = _field_selector(fields_text or "")
    except ValueError as error:
        raise errors.BadRequest(str(error)) from error
    fields.check(resource, chosen)
    terms = []
    for path, value, equal in chosen.terms:
        if path == "metadata.name" and equal and not name:
            name = value
        elif path == "metadata.namespace" and equal and resource.namespaced and not namespace:
            namespace = value
        else:
            terms.append((path, value, equal))
    return Selection(namespace, name, None if labels.is_everything else labels, tuple(terms))


def version(text: str) -> int:
    """A resourceVersion parameter as a number. Raises BadRequest."""
    if not text.isascii() or not text.isdigit():
        raise errors.BadRequest(
            f"Invalid value: {orjson.dumps(text).decode()}: strconv.ParseUint: parsing: invalid syntax"
        )
    return int(text)


def number(request: Request, name: str) -> int:
    """An integer query parameter, 0 when missing. Raises BadRequest."""
    text = request.query.get(name, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as error:
        raise errors.BadRequest(f"query parameter {name}: {text!r} is not a number") from error


def list_options(request: Request, resource: Resource) -> ListOptions:
    """Read and check the parameters of a list or a watch. Raises BadRequest, Invalid, Expired."""
    query = request.query
    text, match, token = (
        query.get("resourceVersion", ""),
        query.get("resourceVersionMatch", ""),
        query.get("continue", ""),
    )
    found = _match_errors(request, text, match, token)
    if found:
        raise bad_options("ListOptions", found)
    after, at = _decode_token(token) if token else ("", 0)
    return ListOptions(
        selection(request, resource),
        number(request, "limit"),
        version(text) if text else None,
        match,
        after,
        at,
        bool(token),
    )


def _match_errors(request: Request, text: str, match: str, token: str) -> list[FieldError]:
    watching, initial = request.info.verb == "watch", "sendInitialEvents" in request.query
    found = []
    if match:
        if watching and not initial:
            found.append(_match_forbidden("is forbidden for watch unless sendInitialEvents is provided"))
        if not watching and not text:
            found.append(_match_forbidden("is forbidden unless resourceVersion is provided"))
        if token:
            found.append(_match_forbidden("is forbidden when continue is provided"))
        if match not in (EXACT, NOT_OLDER) or (watching and match != NOT_OLDER):
            allowed = f'supported values: "{EXACT}", "{NOT_OLDER}"'
            found.append(FieldError("resourceVersionMatch", "Unsupported value", match, allowed))
        if match == EXACT and text == "0":
            found.append(_match_forbidden('"exact" is forbidden for resourceVersion "0"'))
    if initial and not watching:
        why = "sendInitialEvents is forbidden for list"
        found.append(FieldError("sendInitialEvents", "Forbidden", None, why))
    elif initial and match != NOT_OLDER:
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        found.append(FieldError("resourceVersionMatch", "Forbidden", None, why))
    if token and text and text != "0":
        raise errors.BadRequest("specifying resource version is not allowed when using continue")
    return found


def _match_forbidden(why: str) -> FieldError:
    return FieldError("resourceVersionMatch", "Forbidden", None, f"resourceVersionMatch {why}")


def token(after: str, revision: int) -> str:
    """The continue token that goes on behind key `after` at a revision (-1: at the newest)."""
    data = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": after})
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode_token(text: str) -> tuple[str, int]:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return str(found["start"]), int(found["rv"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise errors.BadRequest("continue key is not valid: it was not given by this server") from error


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions in one."""

    dry_run: bool = False
    manager: str = ""
    validation: str = "Warn"
    force: bool = False

    def as_object(self, kind: str) -> Object:
        """The options as admission sees them."""
        found: Object = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            found["dryRun"] = ["All"]
        if self.manager:
            found["fieldManager"] = self.manager
        return found


def dry_run(values: list[str], kind: str) -> bool:
    """Whether a write is only tried. Raises Invalid for anything but `All`."""
    wrong = [value for value in values if value != "All"]
    if wrong:
        raise bad_options(kind, [FieldError("dryRun", "Unsupported value", wrong[0], 'supported values: "All"')])
    return bool(values)


def write_options(request: Request, kind: str) -> WriteOptions:
    """Read the parameters of a create, update or patch. Raises Invalid."""
    query = request.query
    if not query:
        return WriteOptions(manager=_agent(request))
    validation = query.get("fieldValidation", "")
    found = []
    if validation not in _FIELD_VALIDATION:
        allowed = 'supported values: "Ignore", "Strict", "Warn"'
        found.append(FieldError("fieldValidation", "Unsupported value", validation, allowed))
    manager = query.get("fieldManager", "")
    if len(manager) > 128:
        found.append(FieldError("fieldManager", "Too long", manager, "may not be more than 128 bytes"))
    if found:
        raise bad_options(kind, found)
    tried = dry_run([query["dryRun"]] if query.get("dryRun") else [], kind)
    return WriteOptions(tried, manager or _agent(request), validation or "Warn", request.flag("force"))


def _agent(request: Request) -> str:
    """The manager of a request that names none: the User-Agent up to its first slash."""
    return request.header(b"user-agent").partition("/")[0][:128] or "unknown"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a deletion may say. `grace` is None when left to the resource."""

    grace: int | None = None
    propagation: str = ""
    uid: str = ""
    version: str = ""
    dry_run: bool = False

    def as_object(self) -> Object:
        """The options as admission sees them."""
        found: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if self.grace is not None:
            found["gracePeriodSeconds"] = self.grace
        if self.propagation:
            found["propagationPolicy"] = self.propagation
        if self.dry_run:
            found["dryRun"] = ["All"]
        return found


def delete_options(request: Request, body: Object) -> DeleteOptions:
    """DeleteOptions from the body, or from the query when there is no body. Raises BadRequest, Invalid."""
    query = request.query
    given = dict(body)
    if not given:
        if query.get("gracePeriodSeconds"):
            given["gracePeriodSeconds"] = number(request, "gracePeriodSeconds")
        if query.get("propagationPolicy"):
            given["propagationPolicy"] = query["propagationPolicy"]
        if query.get("orphanDependents"):
            given["orphanDependents"] = request.flag("orphanDependents")
    if query.get("dryRun") and "dryRun" not in given:
        given["dryRun"] = [query["dryRun"]]
    if given.get("kind", "DeleteOptions") != "DeleteOptions":
        raise errors.BadRequest(f"the body of a deletion must be DeleteOptions, not {given['kind']}")
    return _checked(given)


def _checked(given: Object) -> DeleteOptions:
    policy, orphan = given.get("propagationPolicy") or "", given.get("orphanDependents")
    grace = given.get("gracePeriodSeconds")
    found = []
    if policy not in ("", "Orphan", "Background", "Foreground"):
        allowed = 'supported values: "Background", "Foreground", "Orphan"'
        found.append(FieldError("propagationPolicy", "Unsupported value", policy, allowed))
    if policy and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        found.append(FieldError("propagationPolicy", "Invalid value", policy, why))
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise errors.BadRequest("gracePeriodSeconds must be a whole number of seconds")
    if found:
        raise bad_options("DeleteOptions", found)
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    wanted = given.get("preconditions") or {}
    tried = dry_run(list(given.get("dryRun") or ()), "DeleteOptions")
    return DeleteOptions(grace, policy, wanted.get("uid") or "", wanted.get("resourceVersion") or "", tried)
