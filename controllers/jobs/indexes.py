"""Completion indexes: written as `0,2-4,7` in a Job's status, as an annotation on its pods. Pure.

Source: the Kubernetes API reference, Job `status.completedIndexes`.
"""

from __future__ import annotations

from collections.abc import Iterable

from api import meta
from api.types import Object

INDEX = "batch.kubernetes.io/job-completion-index"


def parse(text: str | None, completions: int) -> set[int]:
    """The indexes below `completions` that the text names; what cannot be read is left out."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return found


def render(indexes: Iterable[int]) -> str:
    """The shortest text: three or more consecutive numbers become a range."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if run and (index is None or index != run[-1] + 1):
            parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(i) for i in run]
            run = []
        if index is not None:
            run.append(index)
    return ",".join(parts)


def is_indexed(job: Object) -> bool:
    """Whether the Job's pods have indexes."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Object) -> int | None:
    """The pod's completion index, None without a valid one."""
    text = meta.annotations(pod).get(INDEX, "")
    return int(text) if text.isdigit() else None


def within(job: Object, pod: Object) -> bool:
    """Whether the pod counts for the Job: always, unless the Job is indexed and the index is missing or too high."""
    if not is_indexed(job):
        return True
    index = index_of(pod)
    return index is not None and index < int(job["spec"]["completions"])
