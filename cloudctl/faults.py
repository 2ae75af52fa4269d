"""What a command says when it cannot do what it was asked."""

from __future__ import annotations

from api.errors import ApiError, Invalid, ServiceUnavailable


class Fault(Exception):
    """A mistake in the command line or the input, or something that the client found out itself. The text is for people."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class FileFault(Exception):
    """What the server said about an object of a file; the file is named."""

    def __init__(self, verb: str, source: str, error: ApiError) -> None:
        super().__init__(verb, source, error)
        self.verb, self.source, self.error = verb, source, error


def sentence(error: ApiError, where: str = "") -> str:
    """One line in kubectl's form. `where` names the file and what was tried with it."""
    if isinstance(error, ServiceUnavailable) and error.details is None and "does not answer" in error.message:
        return f"error: {error.message}; is the cluster running (`cloudctl up`)?"
    text = " ".join(error.message.split())
    if isinstance(error, Invalid):
        return f"The {text}"
    return (
        f"Error from server ({error.status_reason}): {where}{text}" if error.status_reason else f"Error: {where}{text}"
    )
