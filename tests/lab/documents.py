"""`docs/units.md`, written from a lab: what systemd says of every unit. `python -m tests.lab.documents [--write]`.

Without `--write` it compares exposure levels with those in the page and exits with 1 when a unit has become more exposed.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from cloudctl.machine.systemd import CONTROL_UNITS, NODE_UNITS, VIRTUAL_IP, service
from tests.lab.machines import Machine
from tests.lab.provision import provided

PAGE = Path(__file__).resolve().parents[2] / "docs" / "units.md"
DAEMONS = (*CONTROL_UNITS, VIRTUAL_IP, *NODE_UNITS)
_OVERALL = re.compile(r"Overall exposure level for (\S+): ([\d.]+) (\w+)")
_ROW = re.compile(r"^\| `(\S+)` \| ([\d.]+) \|", re.MULTILINE)
# What differs from run to run and tells nothing: tips, the journal's last lines, the control group's processes.
_LEFT_OUT = ("Docs:", "Drop-In:", "Invocation:", "IP:", "IO:")

HEAD = """\
# What systemd says of the units

Written from a lab by `python -m tests.lab.documents --write`; the lab's tests compare it with what a lab says.

## Exposure

`systemd-analyze security` on a control plane, 0 (safest) to 10. What keeps the figures of the last four up: the cloud
controllers set addresses and start HAProxy, the virtual IP's keepalived sets one address, the kubelet must mount where Docker
sees it and enter pods' network namespaces, the proxy writes nftables rules. None of them may load kernel modules, set the clock,
open raw devices or gain privileges.

| unit | exposure | in systemd's words |
|---|--:|---|
"""


async def exposure(machine: Machine) -> dict[str, tuple[float, str]]:
    """The overall level of every unit, and systemd's word for it."""
    found = {}
    for daemon in DAEMONS:
        text = await machine.run("systemd-analyze", "security", "--no-pager", service(daemon), timeout=60)
        match = _OVERALL.search(text)
        if match is None:
            raise LookupError(f"systemd-analyze says nothing of {daemon}: {text[-200:]}")
        found[service(daemon)] = (float(match[2]), match[3])
    return found


async def status(machine: Machine, daemon: str) -> str:
    """`systemctl status` without what changes with every run."""
    text = await machine.run("systemctl", "status", "--no-pager", "--full", "--lines=0", service(daemon), timeout=60)
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.strip().startswith(_LEFT_OUT)]
    return "\n".join(line[:118] for line in lines)


async def page(machine: Machine) -> str:
    """The whole document."""
    rows = [f"| `{unit}` | {level} | {word} |" for unit, (level, word) in (await exposure(machine)).items()]
    parts = [HEAD + "\n".join(rows), "\n## Status\n", "`systemctl status` of each on a control plane:\n"]
    for daemon in DAEMONS:
        parts.append(f"```console\n{await status(machine, daemon)}\n```\n")
    return "\n".join(parts)


def documented(text: str) -> dict[str, float]:
    """The levels that a page tells."""
    return {unit: float(level) for unit, level in _ROW.findall(text)}


async def worse(machine: Machine) -> list[str]:
    """The units that are more exposed than the page says."""
    told = documented(PAGE.read_text())
    now = await exposure(machine)
    return [
        f"{unit}: {level}, documented {told.get(unit)}" for unit, (level, _) in now.items() if level > told.get(unit, 0)
    ]


def main(argv: list[str]) -> int:
    """0 when the page is written or as good as what the lab says."""
    with provided() as given:
        machine = next(one for one in given.lab.machines if one.role == "control-plane")
        if "--write" in argv:
            PAGE.write_text(asyncio.run(page(machine)))
            return 0
        complaints = asyncio.run(worse(machine))
    print(*complaints, sep="\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
