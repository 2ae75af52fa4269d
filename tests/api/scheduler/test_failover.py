"""A scheduler that leads and dies, or is stopped and resumes when another leads."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.api.cluster import Cluster
from tests.api.scheduler.conftest import Daemon, World

FAILOVER_SECONDS = 10


class Pair:
    """Two schedulers of which the first leads."""

    def __init__(self, cluster: Cluster) -> None:
        self.both = [Daemon(cluster, "--leader-elect"), Daemon(cluster, "--leader-elect")]
        self.first, self.second = self.both

    def stop(self) -> None:
        for daemon in self.both:
            if daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGCONT)
                daemon.kill()


@pytest.fixture
def pair(cluster: Cluster, scheduler: Daemon) -> Iterator[Pair]:
    scheduler.kill()
    made = Pair(cluster)
    yield made
    made.stop()
    scheduler.restart()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_leader_is_followed_within_ten_seconds(world: World, pair: Pair, end: signal.Signals) -> None:
    world.node("n")
    world.pod("a")
    assert world.bound("a") == "n"
    pair.first.process.send_signal(end)
    began = time.monotonic()
    world.pod("b")
    assert world.bound("b") == "n"
    took = time.monotonic() - began
    print(f"{end.name}: followed after {took:.1f} s")
    assert took < FAILOVER_SECONDS


def test_a_leader_that_was_stopped_ends_when_it_resumes_and_the_other_goes_on(world: World, pair: Pair) -> None:
    world.node("n")
    world.pod("a")
    assert world.bound("a") == "n"
    pair.first.process.send_signal(signal.SIGSTOP)
    world.pod("b")
    assert world.bound("b") == "n"
    pair.first.process.send_signal(signal.SIGCONT)
    world.pod("c")
    assert world.bound("c") == "n"
    assert pair.first.process.wait(15) == 1
    log = pair.first.log.read_text()
    resumed = log[log.index("lost the lease") :]
    assert "bound" not in resumed
    assert "could not renew the Lease kube-scheduler in time" in resumed
