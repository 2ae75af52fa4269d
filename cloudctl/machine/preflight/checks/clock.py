"""The clock."""

from __future__ import annotations

from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Answer, Probe

_WARN_SECONDS, _ERROR_SECONDS = 2.0, 60.0
_CONTAINER_MARKS = ("/run/systemd/container", "/.dockerenv", "/run/.containerenv")


def offset(answer: Answer) -> float | None:
    """How many seconds our clock is ahead of the server's; exact to a second and half the round trip.

    RFC 9110's Date has whole seconds, cut off; on average half a second has passed since.
    """
    if answer.date is None:
        return None
    return (answer.sent + answer.received) / 2 - (answer.date + 0.5)


async def clock_offset(probe: Probe, request: Request) -> list[Result]:
    """How far we are from the first server."""
    if request.endpoint is None:
        return []
    try:
        found = offset(await probe.answer(*request.endpoint))
    except OSError:
        # The check of the server says why.
        return []
    if found is None:
        return [warning(f"{request.server} does not tell its time")]
    if abs(found) <= _WARN_SECONDS:
        return [ok(f"less than {_WARN_SECONDS:g} s from {request.server}")]
    what = f"the clock is {abs(found):.0f} s {'ahead of' if found > 0 else 'behind'} {request.server}'s"
    return [error(what) if abs(found) > _ERROR_SECONDS else warning(what)]


async def clock_synchronised(probe: Probe, request: Request) -> list[Result]:
    """Whether somebody keeps it right. A container has the clock of its machine, and cannot mend it."""
    if probe.clock_synchronised():
        return [ok("the clock is synchronised")]
    if any(probe.exists(mark) for mark in _CONTAINER_MARKS):
        return [ok("the clock is that of the machine around this container")]
    return [warning("the clock is not synchronised")]
