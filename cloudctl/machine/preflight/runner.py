"""Runs the checks: those that measure one by one, then all others at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from client.command import CommandError
from cloudctl.machine.preflight.finding import Check, Finding, Level, Request, Result, warning
from cloudctl.machine.preflight.probe import Machine, Probe
from cloudctl.machine.preflight.table import ALL, CHECKS

_SECONDS = 2.0


async def run(request: Request, probe: Probe | None = None, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """The findings in the table's order, within about 3 s. Raises ValueError for a `request` that cannot be meant."""
    _ = request.endpoint
    probe = probe or Machine()
    wanted = [check for check in checks if request.role in check.roles]
    found = {check.name: await _one(check, probe, request) for check in wanted if check.alone}
    others = [check for check in wanted if not check.alone]
    results = await asyncio.gather(*(_one(check, probe, request) for check in others))
    found |= {check.name: result for check, result in zip(others, results, strict=True)}
    return [finding for check in wanted for finding in _findings(check, found[check.name], request.ignore)]


async def _one(check: Check, probe: Probe, request: Request) -> Iterable[Result]:
    if check.needs_root and not probe.root():
        return [warning("not looked at: only root can", "be root")]
    try:
        async with asyncio.timeout(_SECONDS):
            return await check.run(probe, request)
    except TimeoutError:
        return [warning(f"not looked at: it took longer than {_SECONDS:g} s")]
    except (OSError, CommandError, ValueError, KeyError) as error:
        # Something that cannot be seen is not known to be wrong, e.g. what a program of an unknown version prints.
        return [warning(f"cannot be seen: {error}")]


def _findings(check: Check, results: Iterable[Result], ignore: frozenset[str]) -> list[Finding]:
    forgiven = not ignore.isdisjoint({check.name.lower(), ALL})
    found = []
    for result in results:
        level, what = result.level, result.what
        if level == Level.OK:
            found.append(Finding(check.name, level, what))
            continue
        if level == Level.ERROR and forgiven:
            level, what = Level.WARNING, f"{what} (error, ignored)"
        found.append(Finding(check.name, level, what, check.why, result.remedy or check.remedy))
    return found
