"""Creating and deleting pods on behalf of an owner, with the events Kubernetes' controllers write."""

from __future__ import annotations

from api import meta, resources
from api.errors import ApiError, NotFound
from api.types import Object
from client.controller import Context


def namespace_terminating(error: ApiError) -> bool:
    """Whether a creation was refused because its namespace is being deleted."""
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


class PodControl:
    """The one place where workload controllers touch pods."""

    def __init__(self, ctx: Context) -> None:
        self.client = ctx.client
        self.recorder = ctx.recorder

    async def create(self, pod: Object, owner: Object) -> Object:
        """Create the pod; an ApiError is told as event `FailedCreate` (unless the namespace goes away) and raised."""
        try:
            created = await self.client.create(resources.PODS, pod, meta.namespace(pod))
        except ApiError as error:
            if not namespace_terminating(error):
                self.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(created)}")
        return created

    async def delete(self, pod: Object, owner: Object) -> None:
        """Delete this very pod (by uid). NotFound is raised silently, other errors are told as `FailedDelete`."""
        try:
            await self.client.delete(resources.PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
        except NotFound:
            raise
        except ApiError as error:
            self.recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")
