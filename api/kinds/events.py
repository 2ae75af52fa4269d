"""The Event of the group events.k8s.io."""

from typing import Annotated

from api.kinds.base import LISTED, REQUIRED, Int32, MicroTime, Model, Time
from api.kinds.core.event import EventSource
from api.kinds.core.references import ObjectReference
from api.kinds.meta import Kind


class EventSeries(Model):
    """How often and until when an event repeated."""

    count: Annotated[Int32, LISTED] = 0
    lastObservedTime: Annotated[MicroTime | None, REQUIRED] = None


class Event(Kind):
    """Something that happened to an object, as a component reports it."""

    action: str | None = None
    deprecatedCount: Int32 | None = None
    deprecatedFirstTimestamp: Time | None = None
    deprecatedLastTimestamp: Time | None = None
    deprecatedSource: EventSource | None = None
    eventTime: Annotated[MicroTime | None, LISTED] = None
    note: str | None = None
    reason: str | None = None
    regarding: ObjectReference | None = None
    related: ObjectReference | None = None
    reportingController: str | None = None
    reportingInstance: str | None = None
    series: EventSeries | None = None
    type: str | None = None
