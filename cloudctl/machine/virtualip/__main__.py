"""The program of `cloudlet-vip.service`: keeps the virtual IP on a control plane that works."""

from __future__ import annotations

import os
from pathlib import Path

from client import daemon
from client.daemon import Daemon
from cloudctl.machine.layout import Machine
from cloudctl.machine.virtualip.keeper import Keeper


async def _main(this: Daemon) -> None:
    # systemd makes the folder and says where (systemd.exec(5), RuntimeDirectory=).
    await Keeper(Machine.here(), Path(os.environ["RUNTIME_DIRECTORY"]), this).run()


if __name__ == "__main__":
    daemon.run("vip", _main)
