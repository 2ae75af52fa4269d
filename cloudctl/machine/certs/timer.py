"""How often `cloudlet-certs.timer` looks for certificates that are due. Pure."""

from __future__ import annotations

_LOOKS, _HOUR = 12, 3600
"""Looks in a certificate's life, of which the last third is left for the renewal; the unit itself says once an hour."""


def override(life: int | None) -> str:
    """What the timer's unit is to say where certificates live for so many seconds; empty where the unit's own words do."""
    if life is None or life >= _LOOKS * _HOUR:
        return ""
    return f"[Timer]\nOnActiveSec=0\nOnUnitInactiveSec={max(life // _LOOKS, 1)}\nAccuracySec=1s\n"
