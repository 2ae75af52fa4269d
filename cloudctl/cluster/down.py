"""End the cluster: daemons in reverse order, then containers, mounts, rules and addresses; nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

from client.command import CommandError, Commands
from cloudctl.cluster import cleanup, network
from cloudctl.cluster.processes import Supervision, launch_supervisor
from cloudctl.cluster.state import Cluster, ClusterError, Decisions
from cloudctl.cluster.steps import Steps
from cloudctl.supervisor import pidfile

_STOP_SECONDS = 60.0


async def down(home: Path, steps: Steps, *, delete: bool) -> None:
    """Return when the cluster has ended. Raises ClusterError when something cannot be removed."""
    cluster = _cluster_to_end(home)
    if cluster is None:
        steps.say(f"no cluster in {home}")
        return
    with steps.step("daemons stopped"):
        await stop_daemons(cluster)
    if not cluster.fake and os.geteuid() == 0:
        commands = Commands()
        with steps.step("containers removed"):
            await cleanup.remove_containers(cluster)
        with steps.step("load balancers, rules and addresses removed"):
            complaints: list[str] = []
            try:
                await cleanup.unmount(cluster, commands)
                await cleanup.end_load_balancers(cluster)
                # The machine's network may be another cluster's by now, e.g. after a reboot.
                if network.owner() in (None, cluster.home):
                    complaints += await cleanup.release_network(cluster, commands)
            except CommandError as error:
                raise ClusterError(f"the machine cannot be cleaned up: {error}") from error
        for complaint in complaints:
            steps.say(f"[yellow]warning[/yellow]: {complaint}")
    if delete:
        delete_state(cluster)
        steps.say(f"deleted {cluster.home}")


def _cluster_to_end(home: Path) -> Cluster | None:
    """The cluster, also when its state file is damaged: then the defaults tell what may be there."""
    try:
        return Cluster.load(home)
    except ClusterError:
        return Cluster(home, Decisions())


async def stop_daemons(cluster: Cluster) -> None:
    """Stop everything that runs. A supervisor that died is started again for it, because it knows the order."""
    supervision = await Supervision.connect(cluster)
    if supervision is None and (cluster.run / "daemons.json").exists() and _living(cluster):
        launch_supervisor(cluster)
        supervision = await Supervision.connect(cluster)
    if supervision:
        try:
            await supervision.quit(_STOP_SECONDS)
        except TimeoutError:
            pass  # what is left is killed below
        finally:
            await supervision.close()
    await asyncio.gather(*(asyncio.to_thread(_kill, path) for path in _living(cluster)))


def _living(cluster: Cluster) -> list[Path]:
    return [path for path in sorted(cluster.run.glob("*.pid")) if pidfile.read(path) is not None]


def _kill(path: Path) -> None:
    """Kill what the pid file names and wait for its end."""
    pid = pidfile.read(path)
    if pid is None:
        return
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except (ProcessLookupError, ChildProcessError):
        pass  # it is gone, or no child of ours: the kernel ends it all the same
    finally:
        os.close(pidfd)
    path.unlink(missing_ok=True)


def delete_state(cluster: Cluster) -> None:
    """Remove the state folder. Raises ClusterError when something is still mounted in it, for that may hold data."""
    mounted = cleanup.mounts(cluster)
    if mounted:
        raise ClusterError(f"{mounted[0]} is still mounted; unmount it, then `cloudctl down --delete` again")
    if not (cluster.home / "cluster.json").exists():
        raise ClusterError(f"{cluster.home} has no cluster.json, so it is left alone")
    shutil.rmtree(cluster.home)
