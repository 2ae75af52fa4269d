"""The models of core.event."""

from typing import Annotated

from api.kinds.base import LISTED, Int32, MicroTime, Model, Time
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind


class EventSeries(Model):
    """Event Series."""

    count: Int32 | None = None
    lastObservedTime: MicroTime | None = None


class EventSource(Model):
    """Event Source."""

    component: str | None = None
    host: str | None = None


class Event(Kind):
    """Event."""

    action: str | None = None
    count: Int32 | None = None
    eventTime: MicroTime | None = None
    firstTimestamp: Time | None = None
    involvedObject: Annotated[ObjectReference | None, LISTED] = None
    lastTimestamp: Time | None = None
    message: str | None = None
    reason: str | None = None
    related: ObjectReference | None = None
    reportingComponent: str | None = None
    reportingInstance: str | None = None
    series: EventSeries | None = None
    source: EventSource | None = None
    type: str | None = None
