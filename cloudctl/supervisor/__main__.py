"""`python -m cloudctl.supervisor RUN_DIR`: supervise the daemons of the cluster whose run directory this is."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from cloudctl.supervisor import pidfile
from cloudctl.supervisor.loop import Supervisor


def main() -> int:
    """Run until told to quit; 1 when another supervisor already serves this cluster."""
    run_dir = Path(sys.argv[1])
    with (run_dir / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 1
        pidfile.write(run_dir / "supervisor.pid", os.getpid())
        supervisor = Supervisor(run_dir)
        # Whoever started us reads this line and then knows that the control socket is there.
        os.write(1, b"ready\n")
        os.dup2(2, 1)
        supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
