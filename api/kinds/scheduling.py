"""Kinds of the group scheduling.k8s.io: priority."""

from typing import Annotated

from api.kinds.base import Int32, OneOf
from api.kinds.meta import Kind


class PriorityClass(Kind):
    """How important pods are."""

    description: str | None = None
    globalDefault: bool | None = None
    preemptionPolicy: Annotated[str, OneOf("Never", "PreemptLowerPriority")] = "PreemptLowerPriority"
    value: Int32 = 0
