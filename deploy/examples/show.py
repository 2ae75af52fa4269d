"""Run the example application on the cluster of this machine and print where it answers."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMESPACE = "guestbook"
SECONDS = 120.0


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A command on the example's namespace; what it complains of is seen at once."""
    argv = [sys.executable, "-m", "cloudctl", "-n", NAMESPACE, *words]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, timeout=SECONDS + 10)


def cloudctl(*words: str) -> str:
    """The output of a command; ends the program when it fails, after what the cluster says of the example."""
    done = run(*words)
    if done.returncode:
        warnings = [line for line in run("get", "events").stdout.splitlines() if " Warning " in line]
        print(run("get", "pods").stdout, *warnings[-5:], sep="\n", file=sys.stderr)
        sys.exit(done.returncode)
    return done.stdout.strip()


def answer(url: str) -> str:
    """What the application says, once it says it."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - always http
                return str(response.read().decode())
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"error: {url} does not answer: {error}")
            time.sleep(0.2)


def main() -> None:
    """Apply, wait, ask."""
    print(cloudctl("apply", "-f", str(HERE / "guestbook")), flush=True)
    for workload in ("redis", "web"):
        said = cloudctl("rollout", "status", f"deployment/{workload}", f"--timeout={SECONDS:g}s")
        print(said.splitlines()[-1], flush=True)
    path = "{.status.loadBalancer.ingress[0].ip}"
    cloudctl("wait", f"--for=jsonpath={path}", "service/web", f"--timeout={SECONDS:g}s")
    url = f"http://{cloudctl('get', 'service', 'web', '-o', f'jsonpath={path}')}/"
    print(f"\nthe example answers at {url}\n\n{answer(url)}")


if __name__ == "__main__":
    main()
