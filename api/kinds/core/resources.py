"""The models of core.resources."""

from typing import Annotated

from api.kinds.base import REQUIRED, ListMap, Model, OneOf, Quantity


class ResourceClaim(Model):
    """Resource Claim."""

    name: Annotated[str | None, REQUIRED] = None
    request: str | None = None


class ResourceRequirements(Model):
    """Resource Requirements."""

    claims: Annotated[list[ResourceClaim] | None, ListMap("name")] = None
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None

    def default_requests(self) -> None:
        """Ask for as much as the limit where only a limit is given."""
        if self.limits:
            self.requests = {**self.limits, **(self.requests or {})}


class VolumeResourceRequirements(Model):
    """Volume Resource Requirements."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class ContainerResizePolicy(Model):
    """Container Resize Policy."""

    resourceName: Annotated[str | None, REQUIRED] = None
    restartPolicy: Annotated[str | None, REQUIRED, OneOf("NotRequired", "RestartContainer")] = None
