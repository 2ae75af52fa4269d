"""ComponentStatus."""

from typing import Annotated

from api.kinds.base import LISTED, MergeKey, Model
from api.kinds.meta import Kind


class ComponentCondition(Model):
    """One condition of a component."""

    error: str | None = None
    message: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class ComponentStatus(Kind):
    """The health of a part of the control plane; kept for old clients."""

    conditions: Annotated[list[ComponentCondition] | None, MergeKey("type")] = None
