"""How many pods a workload asks for. Pure."""

from __future__ import annotations

from api.types import Object


def replicas_wanted(owner: Object) -> int:
    """`spec.replicas`, 1 if unset."""
    wanted = owner["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)
