"""`cloudctl certs renew`: the certificates of a control plane made anew before they end, while everything that uses them runs.

It needs files alone, no API server: a control plane that was off until all its certificates had ended comes back by this.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloudctl.cluster.pki import Authority, keeping_names
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import certificates
from cloudctl.machine.certificates import Certificate
from cloudctl.machine.certs.places import InOneFile
from cloudctl.machine.layout import Machine


def renew(machine: Machine, now: datetime.datetime, *, everything: bool = False) -> list[str]:
    """Make anew what is due, or everything; returns the names. May be repeated.

    Who owns a file, which names a certificate serves and which servers a kubeconfig lists stays as it was. What can be
    renewed is, even when something else cannot; then raises ClusterError that names it.
    """
    made, complaints = [], []
    with locked(machine.pki):
        for one in certificates.wanted(machine):
            try:
                if _renew(machine, one, now, everything=everything):
                    made.append(one.name)
            except (ClusterError, OSError) as error:
                complaints.append(f"{one.name}: {error}")
        try:
            made += _renew_kubelet(machine, now)
        except (ClusterError, OSError) as error:
            complaints.append(f"kubelet: {error}")
    if complaints:
        raise ClusterError("\n".join(complaints))
    return made


def prolong(machine: Machine, now: datetime.datetime) -> list[str]:
    """Give the authorities that are due ten more years, with their keys; returns their names. Raises ClusterError."""
    with locked(machine.pki):
        return [name for name in certificates.COMMON_NAMES if certificates.load_authority(machine, name).prolong(now)]


def refuse_worker(machine: Machine) -> None:
    """Raises ClusterError on a machine that has nothing to renew here."""
    if not machine.is_control_plane:
        raise ClusterError(
            "this machine is a worker: its kubelet renews its certificates by itself; "
            "`cloudctl certs revive` is for one whose certificate has expired"
        )


def _renew(machine: Machine, one: Certificate, now: datetime.datetime, *, everything: bool) -> bool:
    authority: Authority = certificates.load_authority(machine, one.authority)
    held = one.place.read()
    leaf = one.leaf if held is None else keeping_names(one.leaf, held)
    if not everything and held and authority.issued(held, leaf, now) and one.place.trusts(authority.certificate):
        return False
    pair = authority.issue(leaf, machine.settings.cluster.certificate_seconds, now)
    one.place.write(pair, authority.bundle)
    return True


def _renew_kubelet(machine: Machine, now: datetime.datetime) -> list[str]:
    """The client certificate of this machine's own kubelet, if it has ended: then the kubelet cannot ask for one any more."""
    path = machine.kubelet_pair("client")
    place = InOneFile(path)
    held = place.read()
    if not path.exists() or (held is not None and now < held.not_valid_after_utc):
        return []
    authority = certificates.load_authority(machine, certificates.CA)
    seconds = machine.settings.cluster.certificate_seconds
    place.write(authority.issue(certificates.kubelet_client(machine), seconds, now), authority.bundle)
    return ["kubelet-client"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Change the certificates in a folder alone: a timer and a person may both renew them. Waits for the other one."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
