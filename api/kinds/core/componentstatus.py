"""The models of core.componentstatus."""

from typing import Annotated

from api.kinds.base import LISTED, MergeKey, Model
from api.kinds.meta import Kind


class ComponentCondition(Model):
    """One condition of a Component."""

    error: str | None = None
    message: str | None = None
    status: Annotated[str | None, LISTED] = None
    type: Annotated[str | None, LISTED] = None


class ComponentStatus(Kind):
    """What has been observed of a Component."""

    conditions: Annotated[list[ComponentCondition] | None, MergeKey("type")] = None
