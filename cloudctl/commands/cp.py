"""`cp`: files and folders to and from containers, as a tar stream through exec."""

from __future__ import annotations

import asyncio
import io
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated

import typer

from api import resources
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.podchoice import container
from cloudctl.session import Session, execute
from cloudctl.streams import CHUNK, Remote, stderr

cli = family()


@dataclass(frozen=True)
class Place:
    """A path, in a pod if `pod` is set."""

    pod: str
    namespace: str
    path: str

    @classmethod
    def parse(cls, word: str) -> Place:
        """`PATH`, `POD:PATH` or `NAMESPACE/POD:PATH`. Raises Fault."""
        pod, colon, path = word.partition(":")
        if not colon or word.startswith(("/", ".")):
            return cls("", "", word)
        namespace, slash, name = pod.rpartition("/")
        if not name or not path or "/" in namespace:
            raise Fault(f"filespec must match the canonical format: [[namespace/]pod:]file/path, not {word!r}")
        return cls(name, namespace if slash else "", path)


@cli.command("cp", cls=Verb)
def command(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE")],
    target: Annotated[str, typer.Argument(metavar="DESTINATION")],
    name: Annotated[str, typer.Option("--container", "-c")] = "",
    no_preserve: Annotated[bool, typer.Option("--no-preserve/--preserve", help="Not the owner and the rights")] = False,
) -> None:
    """Copy files and directories to and from containers; the container needs tar."""
    here, there = Place.parse(source), Place.parse(target)
    if bool(here.pod) == bool(there.pod):
        raise Fault("one of the source and the destination must be a path in a pod, and only one")
    if here.pod:
        execute(ctx, lambda session: _download(session, here, Path(there.path), name))
    else:
        execute(ctx, lambda session: _upload(session, Path(here.path).absolute(), there, name, no_preserve))


async def _remote(session: Session, place: Place, name: str, command: list[str], *, stdin: bool) -> Remote:
    space = place.namespace or session.namespace
    pod = await session.client.get(resources.PODS, place.pod, space)
    params = [("container", container(session, pod, name)), ("stdout", "true"), ("stderr", "true")]
    params += [("command", word) for word in command] + ([("stdin", "true")] if stdin else [])
    return await Remote.open(session.client, resources.PODS.path(space, place.pod, "exec"), params)


async def _upload(session: Session, source: Path, target: Place, name: str, no_preserve: bool) -> int:
    if not await asyncio.to_thread(source.exists):
        raise Fault(f"{source} doesn't exist in local filesystem")
    path = PurePosixPath(target.path)
    if target.path.endswith("/") or await _is_folder(session, target, name):
        path = path / source.name
    with tempfile.TemporaryFile() as archive:
        await asyncio.to_thread(_pack, source, path.name, archive)
        flags = ["--no-same-permissions", "--no-same-owner"] if no_preserve else []
        command = ["tar", "-xmf", "-", *flags, "-C", str(path.parent)]
        remote = await _remote(session, target, name, command, stdin=True)
        return await remote.run(_chunks(archive), stderr, stderr, asyncio.Queue())


async def _is_folder(session: Session, target: Place, name: str) -> bool:
    remote = await _remote(session, target, name, ["test", "-d", target.path], stdin=False)
    return await remote.run(None, _ignore, _ignore, asyncio.Queue()) == 0


def _pack(source: Path, name: str, archive: IO[bytes]) -> None:
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(source, arcname=name)
    archive.seek(0)


async def _chunks(archive: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(archive.read, CHUNK):
        yield chunk


async def _download(session: Session, source: Place, target: Path, name: str) -> int:
    path = PurePosixPath(source.path)
    with tempfile.TemporaryFile() as archive:
        command = ["tar", "-cf", "-", "-C", str(path.parent), "--", path.name or "."]
        remote = await _remote(session, source, name, command, stdin=False)
        code = await remote.run(None, lambda data: _append(archive, data), stderr, asyncio.Queue())
        if code:
            return code
        archive.seek(0)
        await asyncio.to_thread(_unpack, archive, path.name or ".", target)
    return 0


def _append(archive: IO[bytes], data: bytes) -> None:
    archive.write(data)


def _unpack(archive: IO[bytes], name: str, target: Path) -> None:
    """Put the archive's one top entry to `target`, or into it if it is a folder. Nothing may leave the target: Fault."""
    # Not with tarfile's filters, which Debian 12's Python 3.11.2 does not have.
    root = target / name if target.is_dir() else target
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not path.is_relative_to(name) or ".." in path.relative_to(name).parts:
                raise Fault(f"the container's archive has an entry outside of {name}: {member.name!r}")
            place = root / path.relative_to(name)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif member.isfile() or member.islnk():
                _write_file(tar, member, place)
            else:  # as kubectl: a link could lead what follows out of the target
                sys.stderr.write(f"warning: skipping {member.name!r}, which is neither a file nor a folder\n")


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = tar.extractfile(member) or io.BytesIO()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while chunk := content.read(CHUNK):
            file.write(chunk)
    path.chmod(member.mode & 0o777)


def _ignore(data: bytes) -> None:
    """The question was answered by the exit code."""
