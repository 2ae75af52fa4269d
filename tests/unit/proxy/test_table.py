"""A change costs what changed, and leads to the same kernel state as building everything anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.base import NODE_IPS, base_rules
from proxy.chains import service_rules
from proxy.ruleset import Present, Ruleset, deletions, diff, rebuild
from proxy.services import service_ports
from proxy.table import Table
from tests.unit.proxy.kernel import FakeKernel, NftError
from tests.unit.proxy.objects import endpoint, service, slice_of

CIDR = "10.244.0.0/16"


def part(index: int, *endpoints: str, **spec: Any) -> Ruleset:
    svc = service(f"s{index}", ip=f"10.96.1.{index}", **spec)
    ports = service_ports(svc, [slice_of(*(endpoint(e) for e in endpoints))] if endpoints else [])
    return service_rules(ports, CIDR)


def start() -> tuple[Table, FakeKernel]:
    table, kernel = Table(), FakeKernel()
    table.replace("base", base_rules(CIDR))
    kernel.run(table.take_all(Present()).text)
    return table, kernel


def test_nothing_changed_costs_nothing() -> None:
    table, _ = start()
    table.replace("a", part(1, "10.244.0.1"))
    table.take()
    table.replace("a", part(1, "10.244.0.1"))
    assert table.take().commands == []


def test_one_endpoint_more_touches_one_service_only() -> None:
    table, kernel = start()
    for i in range(50):
        table.replace(f"s{i}", part(i, "10.244.0.1"))
    kernel.run(table.take().text)
    table.replace("s7", part(7, "10.244.0.1", "10.244.0.2"))
    change = table.take()
    kernel.run(change.text)
    assert len(change.commands) < 8
    assert all("s7" in command for command in change.commands)
    assert kernel.ruleset() == kernel.normal(table.whole())


def test_a_removed_service_leaves_empty_chains_that_can_be_deleted_later() -> None:
    table, kernel = start()
    table.replace("a", part(1, "10.244.0.1", sessionAffinity="ClientIP"))
    kernel.run(table.take().text)
    table.replace("a")
    change = table.take()
    kernel.run(change.text)
    kernel.run(deletions(change.stale_chains, change.stale_sets).text)
    assert kernel.ruleset() == kernel.normal(table.whole())


def test_of_two_claims_to_one_address_the_first_owner_wins_and_the_second_inherits() -> None:
    table, _ = start()
    key = (NODE_IPS, "10.0.0.1")
    table.replace("b", Ruleset(elements={key: "goto b"}))
    table.replace("a", Ruleset(elements={key: "goto a"}))
    assert table.whole().elements[key] == "goto a"
    table.take()
    table.replace("a")
    assert table.whole().elements[key] == "goto b"
    assert table.take().commands != []


def test_the_kernel_refuses_what_a_broken_diff_would_do() -> None:
    _, kernel = start()
    with pytest.raises(NftError):
        kernel.run("add rule inet cloudlet nowhere drop\n")
    with pytest.raises(NftError):
        kernel.run("delete element inet cloudlet node-ips { 10.0.0.1 }\n")


def test_a_rebuild_ends_in_the_same_state_whatever_was_there() -> None:
    table, kernel = start()
    table.replace("a", part(1, "10.244.0.1", sessionAffinity="ClientIP"))
    kernel.run(table.take().text)
    other = Table()
    other.replace("base", base_rules(CIDR))
    other.replace("b", part(2, "10.244.0.9"))
    change = rebuild(other.whole(), kernel.present_now())
    kernel.run(change.text)
    kernel.run(deletions(change.stale_chains, change.stale_sets).text)
    assert kernel.ruleset() == kernel.normal(other.whole())


services = st.dictionaries(
    st.integers(1, 4),
    st.tuples(
        st.lists(st.sampled_from(["10.244.0.1", "10.244.0.2", "10.244.0.3"]), unique=True), st.booleans(), st.booleans()
    ),
)


@given(st.lists(services, min_size=1, max_size=5))
def test_any_sequence_of_changes_arrives_at_what_is_wanted(
    states: list[dict[int, tuple[list[str], bool, bool]]],
) -> None:
    table, kernel = start()
    stale: set[str] = set()
    for state in states:
        for index in range(1, 5):
            endpoints, sticky, shared = state.get(index, ([], False, False))
            more = ({"sessionAffinity": "ClientIP"} if sticky else {}) | (
                {"externalIPs": ["203.0.113.1"]} if shared else {}
            )
            table.replace(f"s{index}", part(index, *endpoints, **more) if index in state else Ruleset())
        change = table.take()
        kernel.run(change.text)
        stale |= {*change.stale_chains, *change.stale_sets}
    wanted = kernel.normal(table.whole())
    assert diff(wanted, kernel.ruleset(without=stale)).commands == []
