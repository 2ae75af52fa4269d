"""A container engine that exists in memory only, with the promises of `runtime.py`: for tests of everything above it.

Containers do what their tests tell them: they run until `finish`, end by themselves when killed unless their name is in
`stubborn`, and programs executed in them answer from `answers`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from kubelet.runtime import (
    ContainerSpec,
    ContainerState,
    EngineDown,
    EngineInfo,
    Event,
    Image,
    NameTaken,
    NotThere,
    PullError,
    Resources,
    RuntimeFault,
    StartError,
    Stream,
    Usage,
)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass
class FakeStream:
    """A finished program: its output, then its exit code."""

    output: list[tuple[int, bytes]]
    code: int = 0
    written: bytes = b""

    async def read(self) -> tuple[int, bytes] | None:
        return self.output.pop(0) if self.output else None

    async def write(self, data: bytes) -> None:
        self.written += data

    async def close_stdin(self) -> None:
        return None

    async def resize(self, width: int, height: int) -> None:
        return None

    async def exit_code(self) -> int:
        return self.code

    async def close(self) -> None:
        return None


@dataclass
class FakeRuntime:
    """The engine. `started` lists the names of all containers that were ever started, in order."""

    started: list[str] = field(default_factory=list)
    killed: list[tuple[str, str]] = field(default_factory=list)
    stubborn: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    """Container names whose start fails, and why."""
    answers: Callable[[str, Sequence[str]], tuple[int, bytes]] = field(default=lambda _name, _argv: (0, b""))
    specs: dict[str, ContainerSpec] = field(default_factory=dict)
    down: bool = False

    def __post_init__(self) -> None:
        self._states: dict[str, ContainerState] = {}
        self._images: dict[str, Image] = {}
        self._remote: set[str] = set()
        self._logs: dict[str, list[tuple[int, bytes]]] = {}
        self._listeners: list[asyncio.Queue[Event | None]] = []
        self._numbers = itertools.count(1)

    # --- what tests do ----------------------------------------------------------------------------------------------

    def add_image(self, reference: str, *, remote: bool = False) -> None:
        """Put an image on the node, or into the registry."""
        if remote:
            self._remote.add(reference)
        else:
            self._images[reference] = Image(f"sha256:{reference}", (reference,))

    def finish(self, container_id: str, code: int = 0, *, oom: bool = False) -> None:
        """Let a running container's process end."""
        state = self._states[container_id]
        if state.phase != "running":
            return
        self._states[container_id] = replace(
            state, phase="exited", exit_code=code, finished_at=_now(), oom_killed=oom, pid=0
        )
        self._tell("die", container_id)

    def write(self, container_id: str, channel: int, data: bytes) -> None:
        """Let a container write to its log."""
        self._logs.setdefault(container_id, []).append((channel, data))

    def restart_engine(self) -> None:
        """What happens when the engine restarts: every container ends, and every event stream breaks."""
        for container_id, state in list(self._states.items()):
            if state.phase == "running":
                self._states[container_id] = replace(state, phase="exited", exit_code=137, finished_at=_now(), pid=0)
        for queue in self._listeners:
            queue.put_nowait(None)
        self._listeners.clear()

    def by_container(self, name: str) -> list[ContainerState]:
        """The containers of that name in their pod, oldest first."""
        return [s for s in self._states.values() if s.container == name]

    def _tell(self, action: str, container_id: str) -> None:
        labels = self._states[container_id].labels if container_id in self._states else {}
        for queue in self._listeners:
            queue.put_nowait(Event(action, container_id, labels))

    def _check(self) -> None:
        if self.down:
            raise EngineDown("the engine is down")

    def _get(self, container_id: str) -> ContainerState:
        self._check()
        if container_id not in self._states:
            raise NotThere(f"No such container: {container_id}")
        return self._states[container_id]

    # --- the protocol -----------------------------------------------------------------------------------------------

    async def info(self) -> EngineInfo:
        self._check()
        return EngineInfo("fake")

    async def containers(self) -> list[ContainerState]:
        self._check()
        return list(self._states.values())

    async def inspect(self, container_id: str) -> ContainerState:
        return self._get(container_id)

    async def create(self, spec: ContainerSpec) -> str:
        self._check()
        for state in self._states.values():
            if state.name == spec.name:
                raise NameTaken(spec.name, state.id)
        image = await self.image(spec.image)
        if image is None:
            raise NotThere(f"No such image: {spec.image}")
        container_id = f"{next(self._numbers):064x}"
        self._states[container_id] = ContainerState(
            container_id, spec.name, "created", dict(spec.labels), image=spec.image, image_id=image.id, created_at=_now(),
            stop_signal=spec.stop_signal,
        )  # fmt: skip
        self.specs[container_id] = spec
        self._tell("create", container_id)
        return container_id

    async def start(self, container_id: str) -> None:
        state = self._get(container_id)
        if state.phase == "running":
            return
        why = self.broken.get(state.container or state.name)
        network = self.specs[container_id].network
        if network.startswith("container:") and (joined := network.removeprefix("container:")) not in self._states:
            why = f"No such container: {joined}"
        if why:
            self._states[container_id] = replace(state, phase="exited", exit_code=127, error=why)
            raise StartError(why)
        self._states[container_id] = replace(state, phase="running", started_at=_now(), pid=int(container_id, 16))
        self.started.append(state.name)
        self._tell("start", container_id)

    async def kill(self, container_id: str, signal: str) -> None:
        self._check()
        state = self._states.get(container_id)
        if state is None or state.phase != "running":
            return
        self.killed.append((state.container, signal))
        if signal == "SIGKILL":
            self.finish(container_id, 137)
        elif state.container not in self.stubborn:
            self.finish(container_id, 143)

    async def remove(self, container_id: str) -> None:
        self._check()
        if container_id in self._states:
            self.finish(container_id, 137)
            self._tell("destroy", container_id)
            del self._states[container_id]

    async def update(self, container_id: str, resources: Resources) -> None:
        self.specs[container_id] = replace(self.specs[self._get(container_id).id], resources=resources)

    async def usage(self, container_id: str) -> Usage:
        self._get(container_id)
        return Usage(1_000_000, 1 << 20, 1 << 20, 1)

    async def events(self) -> AsyncGenerator[Event, None]:
        self._check()
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.append(queue)
        yield Event("connect", "", {})
        while (event := await queue.get()) is not None:
            yield event
        raise EngineDown("the event stream ended")

    async def logs(
        self, container_id: str, *, follow: bool, tail: int | None, since: str, timestamps: bool, tty: bool
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        self._get(container_id)
        lines = self._logs.get(container_id, [])
        for item in lines if tail is None else lines[max(0, len(lines) - tail) :]:
            yield item

    async def exec(self, container_id: str, argv: Sequence[str], *, stdin: bool = False, tty: bool = False) -> Stream:
        state = self._get(container_id)
        if state.phase != "running":
            raise RuntimeFault(f"container {container_id} is not running")
        code, output = self.answers(state.container, argv)
        return FakeStream([(1, output)] if output else [], code)

    async def attach(self, container_id: str, *, stdin: bool, tty: bool) -> Stream:
        self._get(container_id)
        return FakeStream(list(self._logs.get(container_id, [])))

    async def image(self, reference: str) -> Image | None:
        self._check()
        found = self._images.get(reference)
        return found or next((i for i in self._images.values() if i.id == reference), None)

    async def images(self) -> list[Image]:
        return list(self._images.values())

    async def pull(self, reference: str, auth: Mapping[str, str] | None) -> None:
        self._check()
        if reference not in self._remote:
            raise PullError(f"manifest for {reference} not found")
        self._images[reference] = Image(f"sha256:{reference}", (reference,), (f"{reference}@sha256:0",), size=100)

    async def load(self, reference: str, tar: bytes, changes: Sequence[str]) -> None:
        self.add_image(reference)

    async def remove_image(self, image_id: str) -> None:
        for reference in [r for r, i in self._images.items() if i.id == image_id]:
            del self._images[reference]

    async def images_in_use(self) -> set[str]:
        return {state.image_id for state in self._states.values()}

    async def close(self) -> None:
        return None
