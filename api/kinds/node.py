"""Kinds of the group node.k8s.io: runtime classes."""

from typing import Annotated

from api.kinds.base import ATOMIC, IMMUTABLE, REQUIRED, Model, Quantity
from api.kinds.core.placement import Toleration
from api.kinds.meta import Kind


class Overhead(Model):
    """What running a pod costs beside its containers."""

    podFixed: dict[str, Quantity] | None = None


class Scheduling(Model):
    """The nodes that can run a class."""

    nodeSelector: Annotated[dict[str, str] | None, ATOMIC] = None
    tolerations: Annotated[list[Toleration] | None, ATOMIC] = None


class RuntimeClass(Kind):
    """A way of running containers."""

    handler: Annotated[str | None, REQUIRED, IMMUTABLE] = None
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None
