"""What every component asks of a Service. Pure."""

from __future__ import annotations

from api.types import Object


def is_headless(service: Object) -> bool:
    """Whether the Service has no address of its own by wish (`clusterIP: None`)."""
    return bool(service["spec"].get("clusterIP") == "None")
