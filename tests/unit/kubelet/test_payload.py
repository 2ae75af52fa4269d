"""Projected volumes are whole or not there."""

from __future__ import annotations

import pytest

from api.types import Object
from kubelet.resources import Capacity
from kubelet.volumes import payload
from kubelet.volumes.payload import Source, VolumeFault
from tests.unit.kubelet.build import pod


@pytest.mark.parametrize("kind", ["clusterTrustBundle", "podCertificate"])
def test_a_projected_source_that_is_not_supported_is_named_and_never_left_out(kind: str) -> None:
    found = {"data": {"a": "1"}}
    source = Source(lambda *_: found, Capacity(cpu=1, memory=1, storage=1, pods=1), lambda _: "token")
    parts: list[Object] = [{kind: {"path": "x"}}, {"configMap": None, kind: {}}]
    for part in parts:
        spec = {"sources": [{"configMap": {"name": "m"}}, part]}
        with pytest.raises(VolumeFault, match=f"projected source {kind} is not supported"):
            payload.render(pod(), {"name": "v", "projected": spec}, source)
