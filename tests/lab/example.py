"""The example application on a lab: applied with `cloudctl`, visited through its load balancer."""

from __future__ import annotations

import asyncio
import re
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from client import kubeconfig
from client.backoff import Backoff
from client.command import Commands
from tests.lab.cluster import Lab

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("cloudlet/examples-web:1", "cloudlet/examples-redis:1")
_SECONDS = 180.0


class Example:
    """The running application; `cloudctl` is the command line with the lab's kubeconfig."""

    def __init__(self, commands: Commands, url: str) -> None:
        self._commands, self.url = commands, url

    async def cloudctl(self, *words: str) -> str:
        """What a command prints. Raises CommandError."""
        return await self._commands.run(sys.executable, "-m", "cloudctl", "-n", "guestbook", *words, timeout=_SECONDS)

    async def visit(self, seconds: float = _SECONDS) -> int:
        """The number of the visit, as soon as the application answers with one. Raises TimeoutError."""
        backoff = Backoff(0.1, 1.0)
        async with asyncio.timeout(seconds):
            while True:
                number = await asyncio.to_thread(_ask, self.url)
                if number is not None:
                    return number
                await asyncio.sleep(backoff.next())

    async def settled(self) -> None:
        """Return when every replica is there."""
        for name in ("redis", "web"):
            await self.cloudctl("rollout", "status", f"deployment/{name}", f"--timeout={_SECONDS:g}s")


def _ask(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - always http
            found = re.search(r"visits: (\d+)", answer.read().decode())
    except (urllib.error.URLError, OSError):
        return None
    return int(found[1]) if found else None


@asynccontextmanager
async def example(lab: Lab, folder: Path) -> AsyncIterator[Example]:
    """Apply it, wait for it, and take it away in the end. The machines must have its images."""
    path, config = folder / "kubeconfig", lab.config
    kubeconfig.write(
        path,
        "lab",
        config.servers,
        config.ca or b"",
        user="admin",
        cert=config.cert,
        key=config.key,
        token=config.token,
    )
    commands = Commands(("env", f"KUBECONFIG={path}", f"PYTHONPATH={ROOT}"))
    app = Example(commands, "")
    await app.cloudctl("apply", "-f", str(ROOT / "deploy" / "examples" / "guestbook"))
    try:
        await app.settled()
        address = "{.status.loadBalancer.ingress[0].ip}"
        await app.cloudctl("wait", f"--for=jsonpath={address}", "service/web", f"--timeout={_SECONDS:g}s")
        app.url = f"http://{await app.cloudctl('get', 'service', 'web', '-o', f'jsonpath={address}')}/"
        yield app
    finally:
        await app.cloudctl("delete", "namespace", "guestbook", f"--timeout={_SECONDS:g}s")
