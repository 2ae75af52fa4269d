"""The list that validation fills: one method per kind of error, in Kubernetes' words."""

from collections.abc import Iterable
from typing import Any

from api.errors import FieldError

IMMUTABLE = "field is immutable"


class Errors(list[FieldError]):
    """All bad fields found so far."""

    def required(self, path: str, detail: str = "") -> None:
        """The field is missing or empty."""
        self.append(FieldError(path, "Required value", None, detail))

    def invalid(self, path: str, value: Any, detail: str) -> None:
        """The value breaks a rule."""
        self.append(FieldError(path, "Invalid value", value, detail))

    def each(self, path: str, value: Any, details: Iterable[str]) -> None:
        """The value breaks several rules, one error each."""
        for detail in details:
            self.invalid(path, value, detail)

    def unsupported(self, path: str, value: Any, supported: Iterable[str]) -> None:
        """The value is none of those allowed."""
        words = ", ".join(f'"{each}"' for each in sorted(supported))
        self.append(FieldError(path, "Unsupported value", value, f"supported values: {words}"))

    def forbidden(self, path: str, detail: str) -> None:
        """The field may not be set, or not be changed."""
        self.append(FieldError(path, "Forbidden", None, detail))

    def duplicate(self, path: str, value: Any) -> None:
        """Another element has the same value."""
        self.append(FieldError(path, "Duplicate value", value))

    def not_found(self, path: str, value: Any) -> None:
        """The value names something that is not there."""
        self.append(FieldError(path, "Not found", value))

    def too_long(self, path: str, limit: int) -> None:
        """The value has more bytes than allowed."""
        self.append(FieldError(path, "Too long", None, f"may not be more than {limit} bytes"))

    def too_many(self, path: str, count: int, limit: int) -> None:
        """The list has more items than allowed."""
        self.append(FieldError(path, "Too many", count, f"must have at most {limit} items"))

    def immutable(self, path: str, new: Any, old: Any) -> None:
        """The field must be what it was."""
        if new != old:
            self.invalid(path, new, IMMUTABLE)
