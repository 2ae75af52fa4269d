"""A release of Cloudlet as a wheel, and which release may follow which. Pure, but for reading the file.

The rules are Kubernetes' version skew policy, with our minor versions: one minor at a time; control planes first and within one
minor of one another; a node never newer than the API servers, and at most three minors older.
"""

from __future__ import annotations

import email.parser
import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cloudctl.cluster.state import ClusterError

_GIT_VERSION = re.compile(r"\+cloudlet\.(\d+)\.(\d+)\.(\d+)")
_PLAIN = re.compile(r"(\d+)\.(\d+)\.(\d+)")
OLDER_NODES = 3


@dataclass(frozen=True, order=True)
class Version:
    """A release's number."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `0.1.0`, or from what a Node says. Raises ClusterError."""
        match = _GIT_VERSION.search(text) or _PLAIN.fullmatch(text)
        if match is None:
            raise ClusterError(f"{text} is no version of Cloudlet")
        return cls(*(int(part) for part in match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True)
class Member:
    """A node as an upgrade sees it."""

    name: str
    control_plane: bool
    version: Version


@dataclass(frozen=True)
class Release:
    """A wheel of Cloudlet."""

    path: Path
    version: Version
    digest: str
    """Of the file's contents: two wheels may have the same version."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """What the file is. Raises ClusterError."""
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            with zipfile.ZipFile(path) as wheel:
                inside = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
                about = email.parser.Parser().parsestr(wheel.read(inside).decode())
        except (OSError, zipfile.BadZipFile, StopIteration, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or str(error) or "it has no metadata"
            raise ClusterError(f"{path} is no wheel: {why}") from error
        if about["Name"] != "cloudlet":
            raise ClusterError(f"{path} is a wheel of {about['Name']}, not of cloudlet")
        return cls(path.absolute(), Version.parse(about["Version"]), digest)


def refusal(members: list[Member], name: str, target: Version) -> str | None:
    """Why the node `name` must not become `target` now, None if it may."""
    own = next(member for member in members if member.name == name)
    servers = [member for member in members if member.control_plane]
    if target < own.version:
        return f"{name} is {own.version} already: an older release may not read what a newer one has stored"
    if (target.major, target.minor - own.version.minor) not in ((own.version.major, 0), (own.version.major, 1)):
        return f"from {own.version} to {target} is more than one minor version: take the releases between, one by one"
    if own.control_plane:
        return _far_apart(members, servers, own, target)
    behind = [server for server in servers if server.version < target]
    if behind:
        return f"control planes come first: {_names(behind)} must be {target} before {name}"
    return None


def _far_apart(members: list[Member], servers: list[Member], own: Member, target: Version) -> str | None:
    late = [server for server in servers if server is not own and target.minor - server.version.minor > 1]
    if late:
        return f"control planes must stay within one minor version: {_names(late)} must come first"
    old = [m for m in members if not m.control_plane and target.minor - m.version.minor > OLDER_NODES]
    if old:
        return f"nodes may be {OLDER_NODES} minor versions older than the API server at most: {_names(old)} must come first"
    return None


def _names(members: list[Member]) -> str:
    return ", ".join(f"{member.name} ({member.version})" for member in members)


def order(members: list[Member], target: Version) -> list[Member]:
    """Who has still to be upgraded, in the order of doing it."""
    return sorted((m for m in members if m.version < target), key=lambda m: (not m.control_plane, m.name))
