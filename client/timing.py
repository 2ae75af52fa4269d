"""How quickly a leader is followed by another: the three periods of leader election and their flags.

Names and rules are client-go's; the defaults are shorter than its 15, 10 and 2 seconds, so that another takes over within ten
seconds of the leader's end: at most `retry_period` until the stand-by has seen the last renewal, then `lease_duration`.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass

_JITTER = 1.2
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0}
HELP = {
    "leader-elect-lease-duration": "how long others respect a Lease that is not renewed",
    "leader-elect-renew-deadline": "how long the leader works on after its last renewal",
    "leader-elect-retry-period": "how often the Lease is asked for and renewed",
}


@dataclass(frozen=True)
class Timing:
    """Seconds. Raises ValueError when a leader could work on while another takes over."""

    lease_duration: float = 6.0
    renew_deadline: float = 4.0
    retry_period: float = 1.0

    def __post_init__(self) -> None:
        # A Lease counts whole seconds, so that others may take it after fewer than we meant.
        if math.floor(self.lease_duration) <= self.renew_deadline:
            raise ValueError("--leader-elect-lease-duration must be longer, in whole seconds, than the renew deadline")
        if self.renew_deadline <= _JITTER * self.retry_period:
            raise ValueError(f"--leader-elect-renew-deadline must be longer than {_JITTER:g} retry periods")
        if self.retry_period <= 0:
            raise ValueError("--leader-elect-retry-period must be longer than nothing")


def seconds(text: str | float) -> float:
    """`6`, `6s`, `500ms` or `1m`; a number is what it is, because typer hands in defaults, too. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|)", str(text))
    if found is None:
        raise ValueError(f"{text!r} is no duration: write for example 6s")
    return float(found[1]) * _UNITS[found[2]]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The three flags, `--leader-elect-…`."""
    defaults = (Timing.lease_duration, Timing.renew_deadline, Timing.retry_period)
    for (name, help), default in zip(HELP.items(), defaults, strict=True):
        parser.add_argument(f"--{name}", type=seconds, default=default, metavar="SECONDS", help=help)


def of(flags: argparse.Namespace) -> Timing:
    """What the flags say. Raises ValueError."""
    return Timing(flags.leader_elect_lease_duration, flags.leader_elect_renew_deadline, flags.leader_elect_retry_period)
