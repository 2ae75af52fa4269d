"""The Event of the core group."""

from typing import Annotated

from api.kinds.base import LISTED, Int32, MicroTime, Model, Time
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind


class EventSeries(Model):
    """How often and until when an event repeated."""

    count: Int32 | None = None
    lastObservedTime: MicroTime | None = None


class EventSource(Model):
    """Which component on which host reported an event."""

    component: str | None = None
    host: str | None = None


class Event(Kind):
    """Something that happened to an object."""

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
