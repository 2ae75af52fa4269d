"""Creating and deleting pods for an owner, with the events Kubernetes' controllers write and the expectations kept in step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from api import meta, resources
from api.errors import ApiError, NotFound
from api.types import Object
from client.controller import Context
from client.expectations import Expectations
from controllers.slowstart import slow_start


def namespace_terminating(error: ApiError) -> bool:
    """Whether a creation was refused because its namespace is being deleted."""
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


class PodControl:
    """Pods of owners of one kind, by the owner's key."""

    def __init__(self, ctx: Context) -> None:
        self.client = ctx.client
        self.recorder = ctx.recorder
        self.expectations = Expectations(ctx.clock)

    async def create(
        self, key: str, owner: Object, count: int, make: Callable[[int], Object]
    ) -> tuple[int, ApiError | None]:
        """Create `make(0)` … `make(count - 1)` by slow start. Returns how many there are now, and the first error.

        That the namespace is going away is no error: nothing can be done about it and nobody needs to be told.
        """
        self.expectations.expect_creations(key, count)

        async def one(index: int) -> None:
            try:
                created = await self.client.create(resources.PODS, make(index))
            except ApiError as error:
                if not namespace_terminating(error):
                    self.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
                raise
            self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(created)}")

        created, error = await slow_start(count, one)
        for _ in range(count - created):
            self.expectations.creation_observed(key)
        return created, None if error is not None and namespace_terminating(error) else error

    async def delete(
        self,
        key: str,
        owner: Object,
        pods: Sequence[Object],
        prepare: Callable[[Object], Awaitable[None]] | None = None,
    ) -> tuple[int, ApiError | None]:
        """Delete these very pods (by uid), each after `prepare`. Returns how many are gone or going, and the first error."""
        self.expectations.expect_deletions(key, [meta.key(pod) for pod in pods])

        async def one(pod: Object) -> None:
            try:
                if prepare is not None:
                    await prepare(pod)
                await self.client.delete(resources.PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
            except NotFound:
                self.expectations.deletion_observed(key, meta.key(pod))
            except ApiError as error:
                self.expectations.deletion_observed(key, meta.key(pod))
                self.recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
                raise
            else:
                self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")

        results = await asyncio.gather(*map(one, pods), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, ApiError):
                raise failure
        error = next((f for f in failures if isinstance(f, ApiError)), None)
        return len(pods) - len(failures), error
