"""The models of node."""

from typing import Annotated

from api.kinds.base import ATOMIC, IMMUTABLE, REQUIRED, Model, Quantity
from api.kinds.core.placement import Toleration
from api.kinds.meta import Kind


class Overhead(Model):
    """Overhead."""

    podFixed: dict[str, Quantity] | None = None


class Scheduling(Model):
    """Scheduling."""

    nodeSelector: Annotated[dict[str, str] | None, ATOMIC] = None
    tolerations: Annotated[list[Toleration] | None, ATOMIC] = None


class RuntimeClass(Kind):
    """Runtime Class."""

    handler: Annotated[str | None, REQUIRED, IMMUTABLE] = None
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None
