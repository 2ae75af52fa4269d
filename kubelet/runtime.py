"""What the kubelet asks of a container engine: a narrow protocol and the plain data that passes through it.

Promises every implementation keeps (tests/node/test_runtime.py holds them for Docker and for the fake):
- `create` with a name that exists raises `NameTaken` carrying the present container's id: the name is the lock that keeps
  a container from being started twice.
- `start` on a running container does nothing; a failed start raises `StartError` and leaves the container observable.
- A container runs once: it goes created → running → exited → gone and never back.
- `events` yields one event for every such step of this node's containers, in order, and raises `EngineDown` when the
  stream breaks; whoever listens then lists once and asks again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

LABEL = "io.cloudlet."
CLUSTER = LABEL + "cluster"
NODE = LABEL + "node"
KIND = LABEL + "kind"
POD_NAMESPACE = LABEL + "pod.namespace"
POD_NAME = LABEL + "pod.name"
POD_UID = LABEL + "pod.uid"
POD_IP = LABEL + "pod.ip"
CONTAINER_NAME = LABEL + "container.name"
ATTEMPT = LABEL + "container.attempt"
HASH = LABEL + "container.hash"
SANDBOX = LABEL + "sandbox.id"
GRACE = LABEL + "pod.grace"

Phase = Literal["created", "running", "exited"]
_RANK: dict[Phase, int] = {"created": 0, "running": 1, "exited": 2}


class RuntimeFault(Exception):
    """The engine refused or failed; the text is for people."""


class EngineDown(RuntimeFault):
    """The engine does not answer: wait for it, nothing is known about its containers."""


class NotThere(RuntimeFault):
    """No such container or image."""


class NameTaken(RuntimeFault):
    """A container of that name exists; `container_id` is its id."""

    def __init__(self, name: str, container_id: str) -> None:
        super().__init__(f"the container name {name} is in use by {container_id[:12]}")
        self.container_id = container_id


class StartError(RuntimeFault):
    """The container was created but its process could not be started."""


class PullError(RuntimeFault):
    """An image could not be fetched."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the node seen inside a container. `propagation` is private, rslave or rshared."""

    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"


@dataclass(frozen=True, slots=True)
class Resources:
    """cgroup settings in the engine's units; 0 means "leave it". `cpu_quota` is microseconds per `cpu_period`."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 100_000
    memory: int = 0
    pids: int = 0
    oom_score_adj: int = 0


@dataclass(frozen=True, slots=True)
class Security:
    """Whom a container runs as and what it may do. `seccomp` is "" for the engine's default, "unconfined" or a profile."""

    user: str = ""
    groups: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    read_only_root: bool = False
    unmasked_proc: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything needed to create one container. `network`, `ipc` and `pid` are none, host, shareable, or container:NAME."""

    name: str
    image: str
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    hostname: str = ""
    binds: tuple[Bind, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()
    """(path on the node, path in the container) of each device node."""
    network: str = "none"
    ipc: str = ""
    pid: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    stop_signal: str = ""
    resources: Resources = Resources()
    security: Security = Security()


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What was seen of a container. Times are RFC 3339 as the engine gives them, empty when they have not come."""

    id: str
    name: str
    phase: Phase
    labels: Mapping[str, str]
    image: str = ""
    image_id: str = ""
    pid: int = 0
    created_at: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    stop_signal: str = ""

    @property
    def is_sandbox(self) -> bool:
        return self.labels.get(KIND) == "sandbox"

    @property
    def pod_uid(self) -> str:
        return self.labels.get(POD_UID, "")

    @property
    def container(self) -> str:
        """The container's name in the pod."""
        return self.labels.get(CONTAINER_NAME, "")

    @property
    def attempt(self) -> int:
        return int(self.labels.get(ATTEMPT, "0"))

    @property
    def hash(self) -> str:
        return self.labels.get(HASH, "")

    @property
    def sandbox(self) -> str:
        """The id of the sandbox a container joined."""
        return self.labels.get(SANDBOX, "")

    def supersedes(self, other: ContainerState) -> bool:
        """Whether this may replace what was known: a container never goes back."""
        return _RANK[self.phase] >= _RANK[other.phase]


@dataclass(frozen=True, slots=True)
class Event:
    """A step of one container: create, start, die, oom, destroy."""

    action: str
    container_id: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Image:
    """An image on the node. `size` is in bytes; `user` as the image's configuration has it."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    stop_signal: str = ""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine itself."""

    version: str
    kernel: str = ""
    os_image: str = ""
    cgroup_version: str = "1"
    runtimes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses now: nanoseconds of CPU since its start, bytes of memory, processes."""

    cpu_nanoseconds: int
    memory_working_set: int
    memory_usage: int
    pids: int


class Stream(Protocol):
    """Both ends of an exec or attach session. `read` gives (channel 1 stdout or 2 stderr, data), None at the end."""

    async def read(self) -> tuple[int, bytes] | None: ...

    async def write(self, data: bytes) -> None: ...

    async def close_stdin(self) -> None: ...

    async def resize(self, width: int, height: int) -> None: ...

    async def exit_code(self) -> int: ...

    async def close(self) -> None: ...


class Runtime(Protocol):
    """A container engine as the kubelet of one node sees it. Every method may raise EngineDown."""

    async def info(self) -> EngineInfo: ...

    async def containers(self) -> list[ContainerState]: ...

    async def inspect(self, container_id: str) -> ContainerState:
        """Raises NotThere."""
        ...

    async def create(self, spec: ContainerSpec) -> str:
        """The new container's id. Raises NameTaken, NotThere (image), RuntimeFault."""
        ...

    async def start(self, container_id: str) -> None:
        """Raises StartError, NotThere."""
        ...

    async def kill(self, container_id: str, signal: str) -> None:
        """Send a signal; nothing happens if the container does not run."""
        ...

    async def remove(self, container_id: str) -> None:
        """Kill and remove; nothing happens if it is gone."""
        ...

    async def update(self, container_id: str, resources: Resources) -> None:
        """Change the cgroup settings of a running container."""
        ...

    async def usage(self, container_id: str) -> Usage: ...

    def events(self) -> AsyncGenerator[Event, None]: ...

    def logs(
        self, container_id: str, *, follow: bool, tail: int | None, since: str, timestamps: bool, tty: bool
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """(1 stdout or 2 stderr, data). `since` is seconds since 1970 with a fraction, as text, or empty."""
        ...

    async def exec(self, container_id: str, argv: Sequence[str], *, stdin: bool = False, tty: bool = False) -> Stream:
        """Raises NotThere, RuntimeFault."""
        ...

    async def attach(self, container_id: str, *, stdin: bool, tty: bool) -> Stream: ...

    async def image(self, reference: str) -> Image | None: ...

    async def images(self) -> list[Image]: ...

    async def pull(self, reference: str, auth: Mapping[str, str] | None) -> None:
        """Raises PullError."""
        ...

    async def load(self, reference: str, tar: bytes, changes: Sequence[str]) -> None:
        """Make an image of one layer."""
        ...

    async def remove_image(self, image_id: str) -> None: ...

    async def images_in_use(self) -> set[str]:
        """Ids of the images that any container of the engine, of this node or not, was made from."""
        ...

    async def close(self) -> None: ...
