"""Who holds the virtual IP: fitness decides, and keepalived is told of all peers."""

from __future__ import annotations

from pathlib import Path

from cloudctl.machine.virtualip.configuration import Place, text, worth

A, B, C = "192.0.2.11", "192.0.2.12", "192.0.2.13"
LONG = 60.0


def of(address: str, *, holds: bool = False, unready: float = 0.0) -> int:
    return worth(address, [one for one in (A, B, C) if one != address], holds=holds, unready=unready)


def test_who_holds_it_keeps_it_from_whoever_returns() -> None:
    assert of(A, holds=True) > max(of(B), of(C))


def test_whoever_is_ready_takes_it_from_one_who_is_not() -> None:
    assert min(of(A), of(B), of(C)) > of(A, holds=True, unready=0.5)


def test_no_two_take_it_at_once() -> None:
    assert len({of(A), of(B), of(C)}) == 3


def test_nothing_moves_while_none_is_ready_for_a_moment() -> None:
    assert of(A, holds=True, unready=1.0) == of(B, unready=1.0)


def test_one_who_is_not_ready_for_long_lets_go_of_it_whatever_the_others_do() -> None:
    assert of(A, holds=True, unready=LONG) == -254


def test_every_worth_is_a_priority() -> None:
    many = [f"192.0.2.{n}" for n in range(1, 30)]
    found = [worth(one, [other for other in many if other != one], holds=False, unready=0) for one in many]
    assert 1 < min(found) <= max(found) < of(A, holds=True) < 254


def test_the_configuration_names_every_peer_and_the_address_on_its_device() -> None:
    found = text(Place("192.0.2.9", A, "eth0"), [C, B], Path("/run/fitness"))
    assert "unicast_peer {\n        192.0.2.12\n        192.0.2.13\n    }" in found
    assert (
        "192.0.2.9/32 dev eth0" in found and "virtual_router_id 9\n" in found and "unicast_src_ip 192.0.2.11" in found
    )
    assert found.count("{") == found.count("}")


def test_a_lone_control_plane_has_no_peers() -> None:
    assert "unicast_peer" not in text(Place("192.0.2.9", A, "eth0"), [], Path("/run/fitness"))
