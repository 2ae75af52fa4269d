"""The promises of `kubelet.runtime`, held to by Docker and by the fake alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from kubelet.docker_engine import DockerEngine
from kubelet.fake_runtime import FakeRuntime
from kubelet.runtime import (
    CLUSTER,
    NODE,
    ContainerSpec,
    EngineDown,
    Event,
    NameTaken,
    NotThere,
    Resources,
    Runtime,
    RuntimeFault,
    StartError,
)
from tests import images


@pytest.fixture(params=["docker", "fake"])
async def runtime(request: pytest.FixtureRequest) -> AsyncIterator[Runtime]:
    cluster = uuid.uuid4().hex
    if request.param == "docker":
        images.ensure_busybox()
        made: Runtime = DockerEngine(cluster, "contract")
    else:
        fake = FakeRuntime()
        fake.add_image(images.BUSYBOX)
        made = fake
    try:
        yield made
    finally:
        for state in await made.containers():
            await made.remove(state.id)
        await made.close()


def _spec(runtime: Runtime, name: str = "", *argv: str) -> ContainerSpec:
    cluster = runtime._labels[0].split("=")[1] if isinstance(runtime, DockerEngine) else ""
    return ContainerSpec(
        name=name or f"contract-{uuid.uuid4().hex}",
        image=images.BUSYBOX,
        labels={CLUSTER: cluster, NODE: "contract"},
        entrypoint=argv or ("sleep", "1000"),
    )


async def _next(events: AsyncIterator[Event], action: str) -> Event:
    async with asyncio.timeout(20):
        async for event in events:
            if event.action == action:
                return event
    raise AssertionError("the stream ended")


async def test_a_name_is_a_lock(runtime: Runtime) -> None:
    spec = _spec(runtime)
    first = await runtime.create(spec)
    with pytest.raises(NameTaken) as taken:
        await runtime.create(spec)
    assert taken.value.container_id == first


async def test_a_container_goes_from_created_to_running_to_exited_to_gone(runtime: Runtime) -> None:
    async with aclosing(runtime.events()) as events:
        await _next(events, "connect")
        await _live(runtime, events)


async def _live(runtime: Runtime, events: AsyncIterator[Event]) -> None:
    made = await runtime.create(_spec(runtime))
    assert (await runtime.inspect(made)).phase == "created"
    await runtime.start(made)
    await _next(events, "start")
    running = await runtime.inspect(made)
    assert running.phase == "running" and running.pid > 0 and running.started_at and not running.finished_at
    await runtime.start(made)
    await runtime.kill(made, "SIGKILL")
    assert (await _next(events, "die")).container_id == made
    ended = await runtime.inspect(made)
    assert ended.phase == "exited" and ended.exit_code == 137 and ended.finished_at and ended.supersedes(running)
    await runtime.kill(made, "SIGTERM")
    await runtime.remove(made)
    await _next(events, "destroy")
    with pytest.raises(NotThere):
        await runtime.inspect(made)
    await runtime.remove(made)


async def test_a_container_whose_sandbox_is_gone_cannot_start(runtime: Runtime) -> None:
    sandbox = await runtime.create(_spec(runtime))
    made = await runtime.create(replace(_spec(runtime), network=f"container:{sandbox}"))
    await runtime.remove(sandbox)
    with pytest.raises(StartError, match=sandbox):
        await runtime.start(made)
    ended = await runtime.inspect(made)
    assert ended.phase == "exited" and ended.exit_code and sandbox in ended.error and not ended.started_at


async def test_only_our_own_containers_are_listed(runtime: Runtime) -> None:
    made = await runtime.create(_spec(runtime))
    assert [s.id for s in await runtime.containers()] == [made]


async def test_a_failed_start_is_observable(runtime: Runtime) -> None:
    spec = _spec(runtime, "", "/nosuch")
    if isinstance(runtime, FakeRuntime):
        runtime.broken[spec.name] = "no such file"
    made = await runtime.create(spec)
    with pytest.raises(StartError, match="no such file"):
        await runtime.start(made)
    state = await runtime.inspect(made)
    assert state.phase == "exited" and "no such file" in state.error and not state.started_at


async def test_images(runtime: Runtime) -> None:
    found = await runtime.image(images.BUSYBOX)
    assert found is not None and images.BUSYBOX in found.tags
    assert await runtime.image("nosuch:1") is None
    with pytest.raises(NotThere):
        await runtime.create(ContainerSpec(f"contract-{uuid.uuid4().hex}", "nosuch:1", {}))
    with pytest.raises(RuntimeFault):
        await runtime.pull("nosuch.invalid/image:1", None)
    made = await runtime.create(_spec(runtime))
    assert found.id in await runtime.images_in_use()
    assert (await runtime.inspect(made)).image_id == found.id


async def test_a_program_in_a_container(runtime: Runtime) -> None:
    if isinstance(runtime, FakeRuntime):
        runtime.answers = lambda _name, _argv: (3, b"out\n")
    made = await runtime.create(_spec(runtime))
    with pytest.raises(RuntimeFault):
        await runtime.exec(made, ["true"])
    await runtime.start(made)
    stream = await runtime.exec(made, ["sh", "-c", "echo out; exit 3"])
    pieces = []
    while (piece := await stream.read()) is not None:
        pieces.append(piece)
    assert pieces == [(1, b"out\n")] and await stream.exit_code() == 3
    await stream.close()


async def test_limits_can_be_changed(runtime: Runtime) -> None:
    made = await runtime.create(_spec(runtime))
    await runtime.start(made)
    await runtime.update(made, Resources(cpu_shares=512, memory=64 << 20))
    usage = await runtime.usage(made)
    assert usage.memory_usage > 0 and usage.pids >= 1


async def test_what_is_gone_is_said_to_be_gone(runtime: Runtime) -> None:
    for call in (runtime.inspect, runtime.start):
        with pytest.raises(NotThere):
            await call("0" * 64)
    with pytest.raises(NotThere):
        await runtime.exec("0" * 64, ["true"])


async def test_an_engine_that_is_not_there() -> None:
    engine = DockerEngine("x", "y", "/nonexistent/docker.sock")
    with pytest.raises(EngineDown):
        await engine.containers()
    with pytest.raises(EngineDown):
        await _next(engine.events(), "connect")
    with pytest.raises(EngineDown):
        await engine.attach("x", stdin=False, tty=False)
    await engine.close()
