"""The configuration file: what it changes, and what it says when it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scheduler import config
from scheduler.cycle import Placement, Profile
from scheduler.registry import PLUGINS
from tests.unit.scheduler.build import Cluster, node, pod

HEAD = {"apiVersion": config.API_VERSION, "kind": "KubeSchedulerConfiguration"}


def profile(**plugins: Any) -> Profile:
    return config.parse(HEAD | {"profiles": [{"plugins": plugins}]}).profiles[0]


def test_defaults() -> None:
    parsed = config.parse(HEAD)
    assert [p.name for p in parsed.profiles] == ["default-scheduler"]
    weights = parsed.profiles[0].weights
    assert (weights["TaintToleration"], weights["NodeAffinity"], weights["PodTopologySpread"]) == (3, 2, 2)
    assert (parsed.initial_backoff, parsed.longest_backoff, parsed.leader_elect) == (1.0, 10.0, None)


def test_a_disabled_filter_no_longer_rejects() -> None:
    chosen = profile(filter={"disabled": [{"name": "NodeResourcesFit"}]})
    cluster = Cluster(node("n", "1"), profile=chosen)
    assert isinstance(cluster.schedule(pod(cpu="2")), Placement)
    assert chosen.weights["NodeResourcesFit"] == 1


def test_scores_can_be_reweighted_and_turned_off() -> None:
    chosen = profile(score={"disabled": [{"name": "*"}], "enabled": [{"name": "ImageLocality", "weight": 7}]})
    assert {n: w for n, w in chosen.weights.items() if w} == {"ImageLocality": 7}
    assert len(chosen.plugins) == len(PLUGINS)


def test_preemption_and_gates_can_be_turned_off() -> None:
    chosen = profile(multiPoint={"disabled": [{"name": "DefaultPreemption"}, {"name": "SchedulingGates"}]})
    assert (chosen.preemption, chosen.gates) == (False, False)


def test_arguments_reach_the_plugins() -> None:
    strategy = {"scoringStrategy": {"type": "MostAllocated"}}
    data = HEAD | {"profiles": [{"pluginConfig": [{"name": "NodeResourcesFit", "args": strategy}]}]}
    assert config.parse(data).profiles[0].args["NodeResourcesFit"] == strategy


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "kind: want KubeSchedulerConfiguration"),
        ([], "kind: want KubeSchedulerConfiguration"),
        ({"kind": "KubeSchedulerConfiguration"}, "apiVersion: want"),
        (HEAD | {"profiles": [{"plugins": {"filtre": {}}}]}, r"profiles\[0\].plugins.filtre"),
        (HEAD | {"profiles": [{"plugins": {"score": {"enabled": [{"name": "Nope"}]}}}]}, "no plugin 'Nope'"),
        (HEAD | {"profiles": [{}, {}]}, r"profiles\[1\].schedulerName: duplicate"),
        (HEAD | {"podInitialBackoffSeconds": 20}, "podInitialBackoffSeconds"),
    ],
)
def test_mistakes_are_named(data: Any, sentence: str) -> None:
    with pytest.raises(config.ConfigError, match=sentence):
        config.parse(data)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        f"apiVersion: {config.API_VERSION}\nkind: KubeSchedulerConfiguration\nleaderElection: {{leaderElect: false}}\n"
    )
    assert config.load(path).leader_elect is False
    path.write_text("a: [")
    with pytest.raises(config.ConfigError):
        config.load(path)
    with pytest.raises(config.ConfigError, match="missing"):
        config.load(tmp_path / "missing")
