"""What /metrics tells, under kube-apiserver's names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from apiserver.request import Request

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
_LABELS = ("verb", "group", "resource", "subresource")
REQUESTS = Counter(
    "apiserver_request", "Requests answered.", (*_LABELS, "code"), registry=REGISTRY
)  # fmt: skip
DURATION = Histogram(
    "apiserver_request_duration_seconds",
    "Time from request line to the end of the answer.",
    _LABELS,
    registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
WATCHERS = Gauge("apiserver_longrunning_requests", "Watches being served.", ("resource",), registry=REGISTRY)
CUT_OFF = Counter(
    "apiserver_terminated_watchers", "Watchers cut off for not reading.", ("resource",), registry=REGISTRY
)
OBJECTS = Gauge("apiserver_storage_objects", "Objects stored.", ("resource",), registry=REGISTRY)

_known: dict[tuple[str, str, str, str, int], tuple[Counter, Histogram]] = {}


def observe(request: Request, seconds: float) -> None:
    """Count a request that has ended."""
    info = request.info
    where = (info.verb, info.group, info.resource, info.subresource, request.status)
    known = _known.get(where)
    if known is None:
        if len(_known) > 5000 or not (info.resource or request.status == 200):
            return  # paths and names are the callers' to invent
        labels = where[:4]
        known = _known[where] = (REQUESTS.labels(*labels, str(request.status)), DURATION.labels(*labels))
    known[0].inc()
    if info.verb != "watch":
        known[1].observe(seconds)


def text() -> bytes:
    """The exposition format."""
    return generate_latest(REGISTRY)
