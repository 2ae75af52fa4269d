"""What a simulated node does with its pods: a table. Change a row to change the behaviour.

Each row says which pods it is for, how long after they got there it happens, and what becomes of them. The first row that
fits a pod counts. Times may be chosen per pod by the annotation named in `delay_from`, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from api.meta import controller_of
from api.types import Object

DURATION = "cloudlet.dev/fake-duration"
"""Annotation: seconds until the containers of a pod end; without it only a Job's pod ends, after one second."""
EXIT_CODE = "cloudlet.dev/fake-exit-code"
"""Annotation: the exit code they end with, 0 if it is missing."""
START = "cloudlet.dev/fake-start"
"""Annotation: seconds until they have started."""

State = Literal["created", "running", "exited"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One row. `becomes` is the state of all containers afterwards; None removes the pod from the API."""

    name: str
    fits: Callable[[Object], bool]
    becomes: State | None
    delay: float = 0.0
    delay_from: str = ""
    event: tuple[str, str] = field(default=("", ""))

    def seconds(self, pod: Object) -> float:
        """How long the pod waits for this stage."""
        text = _annotations(pod).get(self.delay_from, "") if self.delay_from else ""
        try:
            return max(0.0, float(text)) if text else self.delay
        except ValueError:
            return self.delay


def _annotations(pod: Object) -> Mapping[str, str]:
    return pod["metadata"].get("annotations") or {}


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _is_deleted(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _has_not_started(pod: Object) -> bool:
    return _phase(pod) == "Pending"


def _ends(pod: Object) -> bool:
    """Running, and not for ever: chosen by annotation, or owned by a Job."""
    owner = controller_of(pod)
    return _phase(pod) == "Running" and (DURATION in _annotations(pod) or (owner or {}).get("kind") == "Job")


STAGES: tuple[Stage, ...] = (
    Stage("delete", _is_deleted, becomes=None),
    Stage(
        "start",
        _has_not_started,
        becomes="running",
        delay_from=START,
        event=("Started", "Started simulated containers"),
    ),
    Stage("end", _ends, becomes="exited", delay=1.0, delay_from=DURATION),
)


def exit_code(pod: Object) -> int:
    """What the pod's containers end with."""
    text = _annotations(pod).get(EXIT_CODE, "0")
    return int(text) if text.isdigit() else 0


def next_stage(pod: Object) -> Stage | None:
    """The first row that fits, or None for a pod that stays as it is."""
    return next((stage for stage in STAGES if stage.fits(pod)), None)
