"""Slow start: many creations in growing batches, so that a call that must fail fails once and not five hundred times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from api.errors import ApiError


async def slow_start(
    count: int, call: Callable[[int], Awaitable[object]], initial: int = 1
) -> tuple[int, ApiError | None]:
    """Run `call(0)` … `call(count - 1)` in batches of 1, 2, 4, …; stop after the first batch with an error.

    Returns how many succeeded and the first error. Anything but an ApiError is a fault of ours and is raised.
    """
    done = succeeded = 0
    size = min(count, initial)
    while size > 0:
        results = await asyncio.gather(*(call(i) for i in range(done, done + size)), return_exceptions=True)
        done += size
        errors = [r for r in results if isinstance(r, BaseException)]
        succeeded += size - len(errors)
        for error in errors:
            if not isinstance(error, ApiError):
                raise error
            return succeeded, error
        size = min(2 * size, count - done)
    return succeeded, None


async def all_of(calls: list[Awaitable[object]]) -> None:
    """Await all of them, also after one has failed; then raise the first error."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
