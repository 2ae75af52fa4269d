"""Images on the node: pull policies, credentials, back-off, and the collection of images nobody uses.

The reasons are Kubernetes' own: InvalidImageName, ErrImageNeverPull, ErrImagePull, ImagePullBackOff.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from api.types import Object
from kubelet.backoff import Backoff
from kubelet.runtime import Image, PullError, Runtime, RuntimeFault

_REFERENCE = re.compile(
    r"(?:(?:[a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+(?::\d+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[A-Za-z][\w.+-]*:[0-9a-fA-F]{32,})?"
)
_HUB = "docker.io"


class ImageFault(Exception):
    """An image cannot be had; `reason` is the container's waiting reason, `until` when to try again."""

    def __init__(self, reason: str, message: str, until: float = 0.0) -> None:
        super().__init__(message)
        self.reason, self.until = reason, until


def registry(reference: str) -> str:
    """The registry host of an image reference."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else _HUB


def pull_policy(container: Object) -> str:
    """The container's policy, or the default that its tag gives."""
    if policy := container.get("imagePullPolicy"):
        return str(policy)
    reference = str(container.get("image", ""))
    tag = reference.rpartition("/")[2].partition(":")[2]
    return "Always" if "@" not in reference and tag in ("", "latest") else "IfNotPresent"


def credentials(secrets: Iterable[Object], reference: str) -> Mapping[str, str] | None:
    """The login for an image from dockerconfigjson secrets, or None. A secret that cannot be read is skipped."""
    wanted = registry(reference)
    for secret in secrets:
        data = secret.get("data") or {}
        text = data.get(".dockerconfigjson") or data.get(".dockercfg")
        if not text:
            continue
        try:
            config = orjson.loads(base64.b64decode(text))
            auths: dict[str, Any] = config.get("auths", config)
        except (ValueError, AttributeError):
            continue
        for server, entry in auths.items():
            host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
            if host.removeprefix("index.") == wanted:
                return _login(entry, server)
    return None


def _login(entry: Mapping[str, str], server: str) -> dict[str, str]:
    if entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    else:
        user, password = entry.get("username", ""), entry.get("password", "")
    return {"username": user, "password": password, "serveraddress": server}


class Images:
    """Makes sure an image is present. `wall` gives seconds since 1970."""

    def __init__(self, runtime: Runtime, wall: Callable[[], float] = time.time) -> None:
        self._runtime, self._wall = runtime, wall
        self._backoff = Backoff()
        self._retry: dict[str, tuple[float, str]] = {}
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._used: dict[str, float] = {}

    async def ensure(
        self, container: Object, secrets: Iterable[Object], tell: Callable[[str, str, str], None]
    ) -> Image:
        """The container's image; `tell` takes (event type, reason, message). Raises ImageFault, EngineDown."""
        reference, policy = str(container.get("image", "")), pull_policy(container)
        if not _REFERENCE.fullmatch(reference):
            message = (
                f'Failed to apply default image tag "{reference}": couldn\'t parse image name: invalid reference format'
            )
            tell("Warning", "InspectFailed", message)
            raise ImageFault("InvalidImageName", message, self._wall() + 60)
        present = await self._runtime.image(reference)
        if policy == "Never" and present is None:
            message = f'Container image "{reference}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            raise ImageFault("ErrImageNeverPull", message, self._wall() + 10)
        if present is not None and policy != "Always":
            tell(
                "Normal",
                "Pulled",
                f'Container image "{reference}" already present on machine and can be accessed by the pod',
            )
        else:
            await self._pull(reference, secrets, tell)
            present = await self._runtime.image(reference)
        if present is None:
            raise ImageFault("ErrImagePull", f'image "{reference}" vanished after its pull', self._wall() + 10)
        self._used[present.id] = self._wall()
        return present

    async def _pull(self, reference: str, secrets: Iterable[Object], tell: Callable[[str, str, str], None]) -> None:
        until, error = self._retry.get(reference, (0.0, ""))
        if self._wall() < until:
            message = f'Back-off pulling image "{reference}": {error}'
            tell("Normal", "BackOff", f'Back-off pulling image "{reference}"')
            raise ImageFault("ImagePullBackOff", message, until)
        tell("Normal", "Pulling", f'Pulling image "{reference}"')
        begun = self._wall()
        try:
            await self._shared(reference, credentials(secrets, reference))
        except PullError as failure:
            self._backoff.record(reference, self._wall())
            delay = self._backoff.delay(reference)
            self._retry[reference] = (self._wall() + delay, f"ErrImagePull: {failure}")
            message = f'failed to pull and unpack image "{reference}": {failure}'
            tell("Warning", "Failed", f'Failed to pull image "{reference}": {failure}')
            tell("Warning", "Failed", "Error: ErrImagePull")
            # At once again: the next look turns the error into the back-off that describes it.
            raise ImageFault("ErrImagePull", message, self._wall() + 1) from failure
        self._backoff.forget(reference)
        self._retry.pop(reference, None)
        took = self._wall() - begun
        tell("Normal", "Pulled", f'Successfully pulled image "{reference}" in {took:.3f}s')

    async def _shared(self, reference: str, auth: Mapping[str, str] | None) -> None:
        """One pull serves all that want the same image with the same login."""
        key = reference + str(sorted((auth or {}).items()))
        task = self._pulls.get(key)
        if task is None:
            task = asyncio.create_task(self._runtime.pull(reference, auth), name=f"pull {reference}")
            self._pulls[key] = task
            task.add_done_callback(lambda _: self._pulls.pop(key, None))
        await asyncio.shield(task)

    async def collect(self, need: int) -> list[str]:
        """Remove unused images that can be pulled again, least recently used first, until `need` bytes are freed.

        An image without a digest was made on this machine: no registry would give it back, so it stays.
        """
        in_use = await self._runtime.images_in_use()
        found = [i for i in await self._runtime.images() if i.id not in in_use and i.digests]
        removed = []
        for image in sorted(found, key=lambda i: self._used.get(i.id, 0.0)):
            if need <= 0:
                break
            try:
                await self._runtime.remove_image(image.id)
            except RuntimeFault:
                continue
            need -= image.size
            removed.append(image.id)
        return removed
