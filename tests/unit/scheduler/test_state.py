"""Informer events: what they do to the snapshot, and which waiting pods they wake."""

from __future__ import annotations

from typing import Any

import pytest

from api.types import Object
from client.clock import FakeClock
from scheduler.cycle import Algorithm, Diagnosis, Placement
from scheduler.queue import SchedulingQueue
from scheduler.snapshot import Snapshot
from scheduler.state import State
from tests.unit.scheduler.build import HOST, ZONE, affinity, constraint, node, pod, term

TAINT = {"key": "k", "effect": "NoSchedule"}


class World:
    """A state whose queue is worked on by `cycle`."""

    def __init__(self) -> None:
        namespaces: dict[str, Any] = {}
        self.clock = FakeClock(1000.0)
        self.snapshot = Snapshot(namespaces)
        self.queue = SchedulingQueue(self.clock)
        self.algorithm = Algorithm(self.snapshot)
        self.state = State(self.snapshot, self.queue, namespaces, {"default-scheduler": self.algorithm})

    def nodes(self, *nodes: Object) -> None:
        for each in nodes:
            self.state.node_changed(each)

    def pods(self, *pods: Object) -> None:
        for each in pods:
            self.state.pod_changed(each)

    async def stuck(self, wanted: Object) -> None:
        """The pod has been tried in vain, and its back-off is over."""
        self.state.pod_changed(wanted)
        queued = self.queue.pop_nowait()
        assert queued is not None
        result = self.algorithm.schedule(queued.info)
        assert isinstance(result, Diagnosis), result
        self.queue.unschedulable(queued, result.plugins)
        await self.clock.advance(2)

    def woken(self) -> bool:
        return self.queue.sizes()["active"] == 1


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_node_wakes_pods_it_could_take(world: World) -> None:
    world.nodes(node("n1", "1"))
    await world.stuck(pod(cpu="2"))
    world.nodes(node("n2", "1"))
    assert not world.woken()
    world.nodes(node("n3", "4"))
    assert world.woken()


async def test_a_heartbeat_wakes_nobody(world: World) -> None:
    world.nodes(node("n1", "1"))
    await world.stuck(pod(cpu="2"))
    beat = node("n1", "1")
    beat["status"]["conditions"] = [{"type": "Ready", "lastHeartbeatTime": "now"}]
    epoch = world.snapshot.epoch
    world.state.node_changed(beat, node("n1", "1"))
    assert not world.woken()
    assert world.snapshot.epoch == epoch


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (node("n", taints=[TAINT]), node("n"), pod()),
        (node("n", unschedulable=True), node("n"), pod()),
        (node("n"), node("n", labels={"a": "b"}), pod(nodeSelector={"a": "b"})),
        (node("n", "1"), node("n", "4"), pod(cpu="2")),
        (node("n"), node("n", extended={"example.com/gpu": "1"}), pod(requests={"example.com/gpu": "1"})),
        (node("n"), node("n", zone="a"), pod(topologySpreadConstraints=[constraint()])),
    ],
)
async def test_a_node_that_changes(world: World, before: Object, after: Object, wanted: Object) -> None:
    world.nodes(before)
    await world.stuck(wanted)
    world.state.node_changed(after, before)
    assert world.woken()


async def test_a_pod_that_ends_makes_room(world: World) -> None:
    world.nodes(node("n", "2"))
    small, large = pod("small", "100m", on="n"), pod("large", "1500m", on="n")
    world.pods(small, large)
    await world.stuck(pod(cpu="1"))
    world.state.pod_gone(small)
    assert not world.woken()
    world.pods({**large, "status": {"phase": "Succeeded"}})
    assert world.woken()
    assert world.snapshot.pod_count.a[0] == 0


async def test_a_pod_that_shrinks_makes_room(world: World) -> None:
    world.nodes(node("n", "2"))
    world.pods(pod("r", "2", on="n"))
    await world.stuck(pod(cpu="1"))
    world.pods(pod("r", "500m", on="n"))
    assert world.woken()


async def test_affinity_waits_for_the_pods_it_names(world: World) -> None:
    world.nodes(node("n", zone="a"))
    await world.stuck(pod(affinity=affinity(near=[term()])))
    world.pods(pod("other", on="n", labels={"app": "b"}))
    assert not world.woken()
    world.pods(pod("friend", on="n", labels={"app": "a"}))
    assert world.woken()


async def test_anti_affinity_waits_for_the_neighbour_to_go(world: World) -> None:
    world.nodes(node("n"))
    neighbour, stranger = pod("a", on="n", labels={"app": "a"}), pod("b", on="n", labels={"app": "b"})
    world.pods(neighbour, stranger)
    await world.stuck(pod(affinity=affinity(apart=[term(HOST)])))
    world.state.pod_gone(stranger)
    assert not world.woken()
    world.state.pod_gone(neighbour)
    assert world.woken()


async def test_spread_hears_of_matching_pods_in_its_namespace(world: World) -> None:
    world.nodes(node("n1", zone="a"), node("n2", "1", zone="b"))
    world.pods(pod("r", on="n1", labels={"app": "a"}), pod("full", "1", on="n2"))
    await world.stuck(pod(cpu="100m", labels={"app": "a"}, topologySpreadConstraints=[constraint(ZONE)]))
    world.pods(pod("x", on="n1", namespace="other", labels={"app": "a"}))
    assert not world.woken()
    world.state.pod_gone(pod("r", on="n1", labels={"app": "a"}))
    assert world.woken()


async def test_pods_of_other_schedulers_count_only_once_assigned(world: World) -> None:
    world.nodes(node("n"))
    world.pods(pod("x", "1", schedulerName="other"))
    assert len(world.queue) == 0
    world.pods(pod("x", "1", schedulerName="other", on="n"))
    assert world.snapshot.requested["cpu"].a[0] == 1000


async def test_pods_of_a_node_not_seen_yet(world: World) -> None:
    world.pods(pod("r", "1", on="n"))
    world.nodes(node("n"))
    assert world.snapshot.requested["cpu"].a[0] == 1000
    world.state.node_gone(node("n"))
    world.state.pod_gone(pod("r", "1", on="n"))
    world.nodes(node("n"))
    assert world.snapshot.requested["cpu"].a[0] == 0


async def test_assume_then_confirm(world: World) -> None:
    world.nodes(node("n", "2"))
    wanted = pod(cpu="1")
    world.pods(wanted)
    queued = world.queue.pop_nowait()
    assert queued is not None
    placed = world.state.assume(queued.info, "n")
    assert world.snapshot.requested["cpu"].a[0] == 1000
    world.pods(pod(cpu="1"))  # an old event, from before the binding
    assert world.queue.pop_nowait() is None
    world.pods(pod(cpu="1", on="n"))
    assert world.snapshot.requested["cpu"].a[0] == 1000
    world.state.forget(placed)  # too late: the API has said that it is bound
    assert world.snapshot.requested["cpu"].a[0] == 1000
    assert len(world.queue) == 0


async def test_assume_then_forget(world: World) -> None:
    world.nodes(node("n", "2"))
    world.pods(pod(cpu="2"))
    queued = world.queue.pop_nowait()
    assert queued is not None
    placed = world.state.assume(queued.info, "n")
    await world.stuck(pod("other", "1"))
    world.state.forget(placed)
    assert world.snapshot.requested["cpu"].a[0] == 0
    assert world.woken()


async def test_assumed_but_deleted(world: World) -> None:
    world.nodes(node("n", "2"))
    world.pods(pod(cpu="1"))
    queued = world.queue.pop_nowait()
    assert queued is not None
    placed = world.state.assume(queued.info, "n")
    world.state.pod_gone(pod(cpu="1"))
    world.state.forget(placed)
    world.queue.retry(queued)
    assert world.snapshot.requested["cpu"].a[0] == 0
    assert len(world.queue) == 0


async def test_somebody_else_assigned_it_elsewhere(world: World) -> None:
    world.nodes(node("n1"), node("n2"))
    world.pods(pod(cpu="1"))
    queued = world.queue.pop_nowait()
    assert queued is not None
    world.state.assume(queued.info, "n1")
    world.pods(pod(cpu="1", on="n2"))
    assert world.snapshot.requested["cpu"].a[:2].tolist() == [0, 1000]


async def test_gates(world: World) -> None:
    world.nodes(node("n"))
    gated = pod(schedulingGates=[{"name": "wait"}])
    world.pods(gated)
    assert world.queue.pop_nowait() is None
    world.state.pod_changed(pod(), gated)
    assert world.queue.pop_nowait() is not None


async def test_a_pod_being_deleted_is_not_scheduled(world: World) -> None:
    world.pods(pod())
    dying = pod()
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.state.pod_changed(dying, pod())
    assert world.queue.pop_nowait() is None


async def test_a_nomination_holds_until_the_api_says_otherwise(world: World) -> None:
    world.nodes(node("n", "1"))
    wanted = pod(cpu="1", priority=5)
    world.pods(wanted)
    queued = world.queue.pop_nowait()
    assert queued is not None
    world.state.nominate(queued.info, "n")
    world.state.pod_changed(pod(cpu="1", priority=5), wanted)
    rival = world.state.nominated["uid-default-p"]
    assert rival.nominated == "n"
    world.pods(pod("late", "1"))
    late = world.queue.pop_nowait()
    assert late is not None
    assert isinstance(world.algorithm.schedule(late.info, world.state.rivals(late.info)), Diagnosis)
    vip = pod("vip", "1", priority=9)
    world.pods(vip)
    first = world.queue.pop_nowait()
    assert first is not None
    assert isinstance(world.algorithm.schedule(first.info, world.state.rivals(first.info)), Placement)


async def test_a_pod_that_cannot_be_read_stops_nobody_else(world: World) -> None:
    world.nodes(node("n"))
    odd = pod("odd", on="n", topologySpreadConstraints=[{}])
    world.pods(odd, pod("fine", "1", on="n"))
    assert world.snapshot.requested["cpu"].a[0] == 1000
    world.state.pod_gone(odd)
    assert world.snapshot.pod_count.a[0] == 1


async def test_a_node_that_goes_wakes_only_those_it_could_help(world: World) -> None:
    world.nodes(node("n1", "1"), node("n2", "1"))
    await world.stuck(pod(cpu="2"))
    world.state.node_gone(node("n2", "1"))
    assert not world.woken()


async def test_labels_of_a_namespace_wake_those_who_select_by_them(world: World) -> None:
    world.nodes(node("n", zone="a"))
    world.pods(pod("friend", on="n", namespace="other", labels={"app": "a"}))
    team: Object = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
    await world.stuck(pod(affinity=affinity(near=[term(**team)])))
    world.state.namespace_changed({"metadata": {"name": "other", "labels": {"team": "x"}}})
    assert world.woken()
    queued = world.queue.pop_nowait()
    assert queued is not None
    assert isinstance(world.algorithm.schedule(queued.info), Placement)
