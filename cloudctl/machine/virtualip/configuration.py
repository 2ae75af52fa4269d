"""What keepalived is told: who the others are, and how fit this machine is to hold the address. Pure.

All instances have the same configuration but for addresses; who holds the address is a matter of priorities alone, which follow
the health of the API server beside: whoever holds it and is ready outbids all who are ready, so that one who returns does not
take it back, and those outbid all who are not ready. Source: RFC 5798 (VRRP version 3); keepalived.conf(5).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ADVERTISEMENT = 0.3
"""Seconds between two words of the holder. Others take over when they have missed three of them."""
_UNREADY, _READY, _STEP, _HOLDER = 10, 50, 15, 230
_PATIENCE = 5.0
_FAULT = -254
"""To keepalived: not to hold the address, whatever the others do."""


@dataclass(frozen=True)
class Place:
    """Where the address stands, and this machine."""

    virtual_ip: str
    address: str
    interface: str


def text(place: Place, peers: Sequence[str], fitness: Path) -> str:
    """The configuration file. `fitness` is a file with a number (`worth`) that keepalived adds to the priority."""
    others = "".join(f"        {peer}\n" for peer in sorted(peers))
    unicast = f"    unicast_peer {{\n{others}    }}\n" if peers else ""
    # The last byte tells apart several addresses in one network.
    router = ipaddress.IPv4Address(place.virtual_ip).packed[-1] or 255
    return f"""\
global_defs {{
    vrrp_version 3
    vrrp_check_unicast_src
    vrrp_garp_master_repeat 3
    vrrp_garp_master_delay 1
    vrrp_garp_master_refresh 30
}}
track_file fitness {{
    file "{fitness}"
    weight 1
}}
vrrp_instance cloudlet {{
    state BACKUP
    interface {place.interface}
    virtual_router_id {router}
    priority 1
    advert_int {ADVERTISEMENT}
    unicast_src_ip {place.address}
{unicast}\
    track_file {{
        fitness
    }}
    virtual_ipaddress {{
        {place.virtual_ip}/32 dev {place.interface}
    }}
}}
"""


def worth(address: str, peers: Sequence[str], *, holds: bool, unready: float) -> int:
    """What this machine's fitness is; `unready` is for how many seconds its API server has not been ready.

    One who holds the address keeps it for a while if nobody is better: all are unready while etcd elects a leader, and then it
    is best if nothing moves. After that it lets go: it may be cut off from a majority that has chosen another.
    """
    if unready > _PATIENCE:
        return _FAULT
    if unready:
        return _UNREADY
    if holds:
        return _HOLDER
    # Apart, so that no two take over at the same moment.
    return _READY + _STEP * min(sorted((address, *peers)).index(address), 9)
