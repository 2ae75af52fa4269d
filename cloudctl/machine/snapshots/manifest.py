"""`manifest.json` of an archive: what is in it, and from where and when."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass

from cloudctl.cluster.state import ClusterError
from cloudctl.machine.snapshots.contents import Contents

FORMAT = "cloudlet.dev/snapshot"
VERSION = 1
NAME = "manifest.json"
STORE = "etcd.db"


class SnapshotError(ClusterError):
    """A snapshot cannot be taken, read or restored; the text is one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """One member of the archive."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """See the module. `cluster` is etcd's cluster id in hexadecimal, `files` are all other members of the archive."""

    cluster: str
    taken: datetime.datetime
    cloudlet: str
    etcd: str
    contents: Contents
    files: dict[str, File]

    def to_json(self) -> bytes:
        """As it stands in the archive."""
        shown = {
            "format": FORMAT,
            "version": VERSION,
            "cluster": self.cluster,
            "taken": self.taken.isoformat(timespec="seconds"),
            "cloudlet": self.cloudlet,
            "etcd": self.etcd,
            "revision": self.contents.revision,
            "objects": self.contents.objects,
            "digest": self.contents.digest,
            "files": {name: asdict(file) for name, file in self.files.items()},
        }
        return json.dumps(shown, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Raises SnapshotError when these are not the words of a snapshot that this version can read."""
        try:
            shown = json.loads(data)
            if shown["format"] != FORMAT:
                raise SnapshotError("it is no snapshot of a Cloudlet cluster")
            if shown["version"] != VERSION:
                raise SnapshotError(
                    f"its format is version {shown['version']!r}; this cloudctl reads version {VERSION}"
                )
            return cls(
                cluster=str(shown["cluster"]),
                taken=datetime.datetime.fromisoformat(shown["taken"]),
                cloudlet=str(shown["cloudlet"]),
                etcd=str(shown["etcd"]),
                contents=Contents(int(shown["revision"]), dict(shown["objects"]), str(shown["digest"])),
                files={name: File(int(each["size"]), str(each["sha256"])) for name, each in shown["files"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SnapshotError("its manifest.json cannot be read: it is no snapshot of a Cloudlet cluster") from error
