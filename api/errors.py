"""One exception per reason of a Kubernetes Status, mapped to HTTP in one place: `ApiError.status()`.

Source of codes, reasons and texts: the API conventions of Kubernetes ("Error codes", "Response Status Kind").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from api.types import Object, Resource


class ApiError(Exception):
    """A request that failed: `code` is the HTTP status, `reason` the machine-readable word of the Status."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(self, message: str, details: Object | None = None, *, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.http_code = code or self.code
        self.status_reason = reason or self.reason

    def status(self) -> Object:
        """The Status object a client receives."""
        status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.status_reason,
            "code": self.http_code,
        }
        if self.details:
            status["details"] = self.details
        return status

    @property
    def retry_after(self) -> int | None:
        """Seconds the server asks the client to wait before it tries again, if it said so."""
        seconds = (self.details or {}).get("retryAfterSeconds")
        return int(seconds) if seconds is not None else None

    @staticmethod
    def from_status(status: Object, code: int = 0) -> ApiError:
        """The exception for a received Status; an unknown reason falls back to the HTTP code."""
        code = int(status.get("code") or code or 500)
        reason = str(status.get("reason") or "")
        kind = _BY_REASON.get(reason) or _BY_CODE.get(code) or ApiError
        return kind(str(status.get("message") or reason or code), status.get("details"), code=code, reason=reason)


class BadRequest(ApiError):
    """400: the request cannot be understood."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """401: nobody vouches for the caller."""

    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", details: Object | None = None, **kw: Any) -> None:
        super().__init__(message, details, **kw)


class Forbidden(ApiError):
    """403: the caller may not do this, or an admission rule refuses it."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """404: no such object or path."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """405: the resource does not have this verb."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """406: none of the media types asked for can be given."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """409: an object of that name is there."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """409: the object has changed since the caller read it, or a precondition does not hold."""

    code, reason = 409, "Conflict"


class Expired(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""

    code, reason = 410, "Expired"


class Gone(ApiError):
    """410: the item was there and will not return."""

    code, reason = 410, "Gone"


class RequestEntityTooLarge(ApiError):
    """413: the body exceeds the limit."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """415: the body's Content-Type is not served here."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """422: the object breaks the rules; `details.causes` names every bad field."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """429: try again later; `details.retryAfterSeconds` says when."""

    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    """500: a fault of the server."""

    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    """503: the server cannot serve now; for a client also: no server answers."""

    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    """504: the deadline passed before the server could finish."""

    code, reason = 504, "Timeout"


_KINDS: tuple[type[ApiError], ...] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, AlreadyExists, Conflict, Expired, Gone,
    RequestEntityTooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError, ServiceUnavailable, Timeout,
)  # fmt: skip
_BY_REASON = {kind.reason: kind for kind in _KINDS}
_BY_CODE = {kind.code: kind for kind in reversed(_KINDS)} | {409: Conflict, 410: Expired}

_CAUSES = {
    "Required value": "FieldValueRequired",
    "Invalid value": "FieldValueInvalid",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "Duplicate value": "FieldValueDuplicate",
    "Not found": "FieldValueNotFound",
    "Too long": "FieldValueTooLong",
    "Too many": "FieldValueTooMany",
    "Internal error": "InternalError",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: its path (`spec.containers[0].name`), the kind of error in Kubernetes' words, its value and why."""

    path: str
    kind: str
    value: object = None
    detail: str = ""

    def message(self) -> str:
        """The sentence without the path, as it stands in a cause."""
        text = self.kind
        if self.kind not in ("Required value", "Forbidden", "Too long", "Internal error"):
            text += f": {_quote(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.path}: {self.message()}"


def _quote(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _details(resource: Resource | None, name: str) -> Object:
    details: Object = {"name": name} if name else {}
    if resource:
        if resource.group:
            details["group"] = resource.group
        details["kind"] = resource.plural
    return details


def invalid(resource: Resource, name: str, errors: Iterable[FieldError]) -> Invalid:
    """422 that lists every bad field at once."""
    found = list(errors)
    said = ", ".join(str(e) for e in found)
    text = f"[{said}]" if len(found) > 1 else said
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    causes = [
        {"reason": _CAUSES.get(e.kind, "FieldValueInvalid"), "message": e.message(), "field": e.path} for e in found
    ]
    details: Object = {"name": name, "group": resource.group, "kind": resource.kind, "causes": causes}
    return Invalid(f'{kind} "{name}" is invalid: {text}', {k: v for k, v in details.items() if v})


def not_found(resource: Resource, name: str) -> NotFound:
    """404 for one object."""
    return NotFound(f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> AlreadyExists:
    """409 for a name that is taken."""
    return AlreadyExists(f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> Conflict:
    """409 for a write that lost a race; `why` replaces the usual sentence about the latest version."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Conflict(f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}', _details(resource, name))


def forbidden(resource: Resource | None, name: str, why: str) -> Forbidden:
    """403 in the form `pods "x" is forbidden: why`."""
    said = resource.qualified if resource else "resource"
    subject = f'{said} "{name}"' if name else said
    return Forbidden(f"{subject} is forbidden: {why}", _details(resource, name))


def too_many_requests(message: str, seconds: int = 1) -> TooManyRequests:
    """429 with the seconds to wait."""
    return TooManyRequests(message, {"retryAfterSeconds": seconds})
