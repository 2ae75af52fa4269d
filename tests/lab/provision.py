"""Where the lab of a run comes from: an inventory of real machines, or nodes that are containers of this machine's Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from client import kubeconfig
from tests.images import BUSYBOX
from tests.lab import inventory
from tests.lab.cluster import Lab

VARIABLE = "CLOUDLET_LAB_INVENTORY"


@dataclass(frozen=True)
class Provided:
    """A lab, an image that its machines have, and whether all of them have the same clock."""

    lab: Lab
    image: str
    single_clock: bool


def from_inventory(path: Path) -> Provided:
    """The machines of a file. Raises InventoryError, KubeconfigError."""
    given = inventory.read(path)
    config = kubeconfig.load(given.kubeconfig.expanduser())
    lab = Lab([entry.machine() for entry in given.machines], config)
    return Provided(lab, given.image or BUSYBOX, single_clock=all(entry.container for entry in given.machines))


@contextmanager
def provided() -> Iterator[Provided]:
    """The lab that the environment names. Raises InventoryError."""
    path = os.environ.get(VARIABLE, "")
    if not path:
        raise inventory.InventoryError(f"{VARIABLE} is not set: it names the file with the lab's machines")
    yield from_inventory(Path(path))
