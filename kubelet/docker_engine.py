"""The container engine Docker, behind the protocol of `runtime.py`.

Short calls go through the `docker` package's low-level client in a small thread pool (its connection pool has the same
size, so no thread waits for a connection); calls that stay open (events, logs, pulls, exec) are asyncio streams.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import docker
import httpx
import orjson
import requests
from docker.errors import APIError, DockerException
from docker.errors import NotFound as DockerNotFound

from kubelet import docker_config, docker_parse
from kubelet.docker_stream import DockerStream, check, hijack
from kubelet.runtime import (
    CLUSTER,
    NODE,
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

T = TypeVar("T")
_THREADS = 8
_SECONDS = 120
_EXEC_END_SECONDS = 10.0
_EVENTS = ("create", "start", "die", "oom", "destroy", "exec_die")


def _create(client: docker.APIClient, body: dict[str, Any], name: str) -> dict[str, Any]:
    made: dict[str, Any] = client.create_container_from_config(body, name)  # type: ignore[no-untyped-call]
    return made


def _image(client: docker.APIClient, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    return found


class DockerEngine:
    """Docker as the kubelet `node` of `cluster` sees it: only containers with these two labels are listed."""

    def __init__(self, cluster: str, node: str, socket_path: str = "/var/run/docker.sock") -> None:
        self._labels = [f"{CLUSTER}={cluster}", f"{NODE}={node}"]
        self._socket = socket_path
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
        self._client: docker.APIClient | None = None
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=socket_path),
            base_url="http://docker",
            timeout=httpx.Timeout(_SECONDS, connect=5),
            trust_env=False,
        )
        self._bounds = docker_config.own_bounding_set()
        self._exec_ends: dict[str, asyncio.Future[int]] = {}

    def _connect(self) -> docker.APIClient:
        if not Path(self._socket).exists():
            # The library would leave a socket open for the garbage collector to find.
            raise EngineDown(f"there is no Docker socket at {self._socket}")
        if self._client is None:
            self._client = docker.APIClient(
                base_url=f"unix://{self._socket}", version="auto", timeout=_SECONDS, max_pool_size=_THREADS
            )
        return self._client

    async def _call(self, function: Callable[[docker.APIClient], T]) -> T:
        """Run one short call in the pool; translate what it raises."""

        def work() -> T:
            try:
                return function(self._connect())
            except DockerNotFound as error:
                raise NotThere(error.explanation or str(error)) from error
            except APIError as error:
                raise RuntimeFault(error.explanation or str(error)) from error
            except (requests.exceptions.RequestException, DockerException, OSError) as error:
                raise EngineDown(f"Docker does not answer at {self._socket}: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def info(self) -> EngineInfo:
        found = await self._call(lambda c: c.info())
        return EngineInfo(
            version=found.get("ServerVersion", ""),
            kernel=found.get("KernelVersion", ""),
            os_image=found.get("OperatingSystem", ""),
            cgroup_version=found.get("CgroupVersion") or "1",
            runtimes=tuple(found.get("Runtimes") or ()),
        )

    async def containers(self) -> list[ContainerState]:
        rows = await self._call(lambda c: c.containers(all=True, filters={"label": self._labels}))
        found = await asyncio.gather(*(self.inspect(row["Id"]) for row in rows), return_exceptions=True)
        states = []
        for item in found:
            if isinstance(item, ContainerState):
                states.append(item)
            elif not isinstance(item, NotThere):
                raise item
        return states

    async def inspect(self, container_id: str) -> ContainerState:
        return docker_parse.container_state(await self._call(lambda c: c.inspect_container(container_id)))

    async def create(self, spec: ContainerSpec) -> str:
        body = docker_config.create_body(spec, self._bounds)
        try:
            made: dict[str, Any] = await self._call(lambda c: _create(c, body, spec.name))
        except NotThere:
            raise
        except EngineDown:
            raise
        except RuntimeFault as error:
            if "is already in use" not in str(error):
                raise
            present = await self._call(lambda c: c.inspect_container(spec.name))
            raise NameTaken(spec.name, str(present["Id"])) from error
        return str(made["Id"])

    async def start(self, container_id: str) -> None:
        try:
            await self._call(lambda c: c.start(container_id))
        except (NotThere, EngineDown) as error:
            # Docker answers 404 also when the program to start is not found in the image, or the sandbox to join is gone.
            if isinstance(error, EngineDown) or f"No such container: {container_id}" in str(error):
                raise
            raise StartError(str(error)) from error
        except RuntimeFault as error:
            raise StartError(str(error)) from error

    async def kill(self, container_id: str, signal: str) -> None:
        try:
            await self._call(lambda c: c.kill(container_id, signal))
        except EngineDown:
            raise
        except RuntimeFault as error:
            if not isinstance(error, NotThere) and "is not running" not in str(error):
                raise

    async def remove(self, container_id: str) -> None:
        try:
            await self._call(lambda c: c.remove_container(container_id, v=True, force=True))
        except NotThere:
            return
        except EngineDown:
            raise
        except RuntimeFault as error:
            if "already in progress" not in str(error):
                raise

    async def update(self, container_id: str, resources: Resources) -> None:
        body = docker_config.resource_config(resources, self._bounds)
        answer = await self._post(f"/containers/{container_id}/update", body)
        check(answer.status_code, answer.content, "update")

    async def usage(self, container_id: str) -> Usage:
        answer = await self._get(f"/containers/{container_id}/stats", {"stream": "false", "one-shot": "true"})
        check(answer.status_code, answer.content, "stats")
        return docker_parse.usage(orjson.loads(answer.content))

    async def _get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        try:
            return await self._http.get(path, params=params)
        except httpx.TransportError as error:
            raise EngineDown(f"Docker does not answer: {error!r}") from error

    async def _post(self, path: str, body: object, params: Mapping[str, str] | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        try:
            return await self._http.post(path, content=orjson.dumps(body), params=params, headers=headers)
        except httpx.TransportError as error:
            raise EngineDown(f"Docker does not answer: {error!r}") from error

    async def events(self) -> AsyncGenerator[Event, None]:
        """First one event `connect`; then what happens. Ends with EngineDown."""
        filters = {"type": ["container"], "event": list(_EVENTS), "label": self._labels}
        params = {"filters": orjson.dumps(filters).decode()}
        try:
            async with self._http.stream(
                "GET", "/events", params=params, timeout=httpx.Timeout(5, read=None)
            ) as answer:
                check(answer.status_code, b"", "events")
                yield Event("connect", "", {})
                async for line in answer.aiter_lines():
                    if line and (event := self._event(orjson.loads(line))):
                        yield event
        except httpx.TransportError as error:
            raise EngineDown(f"Docker's event stream broke: {error!r}") from error
        raise EngineDown("Docker's event stream ended")

    def _event(self, raw: Mapping[str, Any]) -> Event | None:
        actor = raw.get("Actor") or {}
        labels = actor.get("Attributes") or {}
        action = str(raw.get("Action", ""))
        if action == "exec_die":
            waiting = self._exec_ends.pop(str(labels.get("execID", "")), None)
            if waiting and not waiting.done():
                waiting.set_result(int(labels.get("exitCode", 0)))
            return None
        return Event(action, str(actor.get("ID", "")), labels)

    async def logs(
        self, container_id: str, *, follow: bool, tail: int | None, since: str, timestamps: bool, tty: bool
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        params = {
            "stdout": "1", "stderr": "1", "follow": str(int(follow)), "timestamps": str(int(timestamps)),
            "tail": "all" if tail is None else str(tail), "since": since or "0",
        }  # fmt: skip
        path = f"/containers/{container_id}/logs"
        try:
            async with self._http.stream("GET", path, params=params, timeout=httpx.Timeout(5, read=None)) as answer:
                if answer.status_code >= 400:
                    check(answer.status_code, await answer.aread(), "logs")
                if tty:
                    async for piece in answer.aiter_raw():
                        yield 1, piece
                    return
                async for item in docker_parse.demultiplex(answer.aiter_raw()):
                    yield item
        except httpx.TransportError as error:
            raise EngineDown(f"Docker's log stream broke: {error!r}") from error

    async def exec(self, container_id: str, argv: Sequence[str], *, stdin: bool = False, tty: bool = False) -> Stream:
        body = {"Cmd": list(argv), "AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True, "Tty": tty}
        answer = await self._post(f"/containers/{container_id}/exec", body)
        check(answer.status_code, answer.content, "exec")
        exec_id = str(orjson.loads(answer.content)["Id"])
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._exec_ends[exec_id] = ended
        try:
            reader, writer = await hijack(self._socket, f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty})
        except RuntimeFault:
            self._exec_ends.pop(exec_id, None)
            raise

        async def resize(width: int, height: int) -> None:
            await self._post(f"/exec/{exec_id}/resize", {}, {"w": str(width), "h": str(height)})

        return DockerStream(reader, writer, tty, resize, lambda: self._exec_exit(exec_id, ended))

    async def _exec_exit(self, exec_id: str, ended: asyncio.Future[int]) -> int:
        """The exit code. Docker may close the stream a moment before it knows the code: then its event tells."""
        try:
            answer = await self._get(f"/exec/{exec_id}/json")
            check(answer.status_code, answer.content, "exec")
            found = orjson.loads(answer.content)
            if not found["Running"] and found["ExitCode"] is not None:
                return int(found["ExitCode"])
            async with asyncio.timeout(_EXEC_END_SECONDS):
                return await asyncio.shield(ended)
        except TimeoutError as error:
            raise EngineDown("Docker did not say how the exec ended") from error
        finally:
            self._exec_ends.pop(exec_id, None)

    async def attach(self, container_id: str, *, stdin: bool, tty: bool) -> Stream:
        path = f"/containers/{container_id}/attach?stream=1&stdout=1&stderr=1&stdin={int(stdin)}"
        reader, writer = await hijack(self._socket, path, {})

        async def resize(width: int, height: int) -> None:
            await self._post(f"/containers/{container_id}/resize", {}, {"w": str(width), "h": str(height)})

        async def exit_code() -> int:
            return (await self.inspect(container_id)).exit_code

        return DockerStream(reader, writer, tty, resize, exit_code)

    async def image(self, reference: str) -> Image | None:
        try:
            return docker_parse.image(await self._call(lambda c: _image(c, reference)))
        except NotThere:
            return None

    async def images(self) -> list[Image]:
        rows = await self._call(lambda c: c.images())
        return [docker_parse.listed_image(row) for row in rows]

    async def pull(self, reference: str, auth: Mapping[str, str] | None) -> None:
        name = reference if "@" in reference or ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        headers = {}
        if auth:
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(orjson.dumps(dict(auth))).decode()
        request = self._http.stream("POST", "/images/create", params={"fromImage": name}, headers=headers)
        try:
            async with request as answer:
                if answer.status_code >= 400:
                    try:
                        check(answer.status_code, await answer.aread(), name)
                    except RuntimeFault as error:
                        raise PullError(str(error)) from error
                async for line in answer.aiter_lines():
                    if line and (problem := orjson.loads(line).get("error")):
                        raise PullError(str(problem))
        except httpx.TransportError as error:
            raise EngineDown(f"Docker does not answer: {error!r}") from error

    async def load(self, reference: str, tar: bytes, changes: Sequence[str]) -> None:
        repository, _, tag = reference.rpartition(":")
        await self._call(lambda c: c.import_image_from_data(tar, repository=repository, tag=tag, changes=list(changes)))

    async def remove_image(self, image_id: str) -> None:
        await self._call(lambda c: c.remove_image(image_id))

    async def images_in_use(self) -> set[str]:
        rows = await self._call(lambda c: c.containers(all=True))
        return {str(row["ImageID"]) for row in rows}

    async def close(self) -> None:
        await self._http.aclose()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()
