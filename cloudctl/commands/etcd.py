"""`etcd`: the members of a cluster's store, and its snapshots."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from api.errors import ApiError
from client.command import Commands
from client.kubeconfig import KubeconfigError
from cloudctl.app import Verb, family
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.commands.machine import Address, Ignore, NodeName
from cloudctl.faults import Fault
from cloudctl.machine import etcdmembers, layout
from cloudctl.machine.etcdctl import EtcdCtlError
from cloudctl.machine.etcdmembers import member, table
from cloudctl.machine.layout import Machine
from cloudctl.machine.snapshots import archive, schedule
from cloudctl.machine.snapshots.manifest import Manifest
from cloudctl.machine.snapshots.revive import revive
from cloudctl.machine.snapshots.save import default_name, newest, prune, save
from cloudctl.machine.systemd import UNITS
from cloudctl.table import render

cli = family()
etcd_cli = family("The store of a cluster of machines.")
snapshot_cli = family("Backups of the whole cluster, keys included.")
cli.add_typer(etcd_cli, name="etcd")
etcd_cli.add_typer(snapshot_cli, name="snapshot")
T = TypeVar("T")

SNAPSHOTS = layout.HOME / "snapshots"

Folder = Annotated[str, typer.Option("--dir", help=f"Where snapshots are kept; else {SNAPSHOTS}")]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it as root; what goes wrong becomes one message for people."""
    try:
        if os.geteuid() != 0:
            work.close()
            raise Fault("this reads the cluster's keys and needs root: use sudo")
        return asyncio.run(work)
    except (ClusterError, EtcdCtlError, KubeconfigError) as error:
        raise Fault(str(error)) from error
    except ApiError as error:
        raise Fault(error.message) from error


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@etcd_cli.command("members", cls=Verb)
def members_command() -> None:
    """Show etcd's members: who leads, who has a vote, who is down."""
    typer.echo(_run(table(layout.HOME)))


@etcd_cli.command("remove", cls=Verb)
def remove_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The member, as `cloudctl etcd members` shows it")],
) -> None:
    """Take a control plane that is gone for good out of etcd, of the list of API servers and of the nodes."""
    _run(_forget(name))


async def _forget(name: str) -> None:
    await etcdmembers.forget(Machine.here(), name)


@snapshot_cli.command("save", cls=Verb)
def save_command(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Else a name with the time, in --dir")] = "",
    folder: Folder = "",
    keep: Annotated[int, typer.Option("--keep", help="Then delete all but this many in --dir; 0 for none")] = 0,
) -> None:
    """Save the cluster in one archive. It holds the cluster's private keys and all Secrets: keep it as one."""
    if file and (folder or keep):
        raise Fault("FILE goes without --dir and --keep, which are for names that are made up")
    place, now = Path(folder or SNAPSHOTS).absolute(), _now()
    path = Path(file).absolute() if file else place / default_name(now)
    made = _run(_save(path, now))
    size, contents = _mib(path.stat().st_size), made.contents
    typer.echo(f"saved {path} ({size}): revision {contents.revision}, {contents.total} objects")
    for old in prune(place, keep) if keep > 0 else ():
        typer.echo(f"deleted {old}")


async def _save(path: Path, now: datetime.datetime) -> Manifest:
    return await save(path, member(layout.HOME), layout.HOME, layout.ETC, now)


@snapshot_cli.command("status", cls=Verb)
def status_command(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="A snapshot; else the schedule is shown")] = "",
    folder: Folder = "",
) -> None:
    """Check a snapshot and show what is in it; without a FILE show when snapshots are taken, and the newest."""
    typer.echo(_run(_describe(Path(file).absolute()) if file else _schedule_status(folder)))


async def _describe(path: Path) -> str:
    manifest = await asyncio.to_thread(archive.inspect, path)
    return f"{_facts(path, manifest)}\n\n{_counts(manifest)}"


def _facts(path: Path, manifest: Manifest) -> str:
    rows = [
        ["File", f"{path}, whole"],
        ["Size", _mib(path.stat().st_size)],
        ["Taken", f"{manifest.taken:%Y-%m-%d %H:%M:%S} UTC, {_age(_now() - manifest.taken)} ago"],
        ["By", f"Cloudlet {manifest.cloudlet}, etcd {manifest.etcd}"],
        ["Cluster", manifest.cluster],
        ["Revision", str(manifest.contents.revision)],
        ["Objects", str(manifest.contents.total)],
        ["Hash", manifest.contents.digest],
    ]
    return render([], rows)


def _counts(manifest: Manifest) -> str:
    return render(["RESOURCE", "OBJECTS"], [[name, str(count)] for name, count in manifest.contents.objects.items()])


async def _schedule_status(folder: str) -> str:
    decided = schedule.current(UNITS, layout.ETC)
    place = Path(folder) if folder else decided.folder if decided else SNAPSHOTS
    latest = await asyncio.to_thread(newest, place)
    rows = [["Newest", str(latest or f"none in {place}")]]
    if decided is None:
        return render([], [["Schedule", "none (`cloudctl etcd snapshot schedule daily` makes one)"], *rows])
    times = await schedule.SystemdTimers(Commands()).times()
    rows = [
        [
            "Schedule",
            f"{decided.calendar}, {decided.keep} kept in {decided.folder}{'' if times.active else ' (timer stopped)'}",
        ],
        ["Last", f"{times.last}: {times.result}" if times.last else "not yet"],
        ["Next", times.next or "none"],
        *rows,
    ]
    return render([], rows)


@snapshot_cli.command("schedule", cls=Verb)
def schedule_command(
    calendar: Annotated[
        str, typer.Argument(metavar="WHEN", help="hourly, daily, or as OnCalendar of systemd.time(7)")
    ] = "",
    off: Annotated[bool, typer.Option("--off/--on", help="Take none any more")] = False,
    keep: Annotated[int, typer.Option("--keep", help="How many stay")] = schedule.KEEP,
    folder: Folder = "",
) -> None:
    """Have systemd take snapshots on this machine."""
    if off == bool(calendar):
        raise Fault("say when (hourly, daily, or as OnCalendar of systemd.time(7)), or --off")
    timers = schedule.SystemdTimers(Commands())
    if off:
        _run(schedule.stop(timers, UNITS, layout.ETC))
        return
    _run(_start(schedule.Schedule(calendar, Path(folder) if folder else SNAPSHOTS, keep), timers))
    typer.echo(_run(_schedule_status("")))


async def _start(wanted: schedule.Schedule, timers: schedule.Timers) -> None:
    member(layout.HOME)  # complains on a machine that has nothing to save
    await schedule.start(wanted, timers, UNITS, layout.ETC)


@snapshot_cli.command("restore", cls=Verb)
def restore_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A snapshot")],
    node_name: NodeName = "",
    address: Address = "",
    ignore: Ignore = "",
    force: Annotated[
        bool, typer.Option("--force/--no-force", help="Set aside the data and keys that are on this machine")
    ] = False,
) -> None:
    """Make this machine the first control plane of the cluster that was saved; others then join as usual."""
    steps = Steps()
    name, where = node_name or layout.default_node_name(), address or layout.primary_address()
    made = _run(revive(Path(file).absolute(), name, where, steps, _now(), force=force, ignore=ignore))
    steps.say(f"ready in {steps.seconds:.1f} s: {made.server}")
    typer.echo(f"A further control plane joins, within two hours, with\n\n  {made.command(control_plane=True)}\n")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _age(past: datetime.timedelta) -> str:
    """The largest unit that is not 0, as people say it."""
    seconds = max(0, int(past.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
