"""What containers and claims ask for."""

from typing import Annotated

from api.kinds.base import REQUIRED, ListMap, Model, OneOf, Quantity


class ResourceClaim(Model):
    """A claim of the pod that a container uses."""

    name: Annotated[str | None, REQUIRED] = None
    request: str | None = None


class ResourceRequirements(Model):
    """What a container is promised and what it may use at most."""

    claims: Annotated[list[ResourceClaim] | None, ListMap("name")] = None
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None

    def default_requests(self) -> None:
        """Ask for as much as the limit where only a limit is given."""
        if self.limits:
            self.requests = {**self.limits, **(self.requests or {})}


class VolumeResourceRequirements(Model):
    """How much storage is asked for."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class ContainerResizePolicy(Model):
    """Whether a container restarts when a resource is resized."""

    resourceName: Annotated[str | None, REQUIRED] = None
    restartPolicy: Annotated[str | None, REQUIRED, OneOf("NotRequired", "RestartContainer")] = None
