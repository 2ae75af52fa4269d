"""Every certificate on this machine, and how long each is good: what `cloudctl certs` shows. Reads files, asks nobody."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography import x509

from cloudctl.cluster.pki import renewal
from cloudctl.machine import certificates
from cloudctl.machine.certs.places import InOneFile
from cloudctl.machine.layout import Machine

KUBELET_SHARE = 0.9
"""The part of its life after which a kubelet has renewed a certificate at the latest (Kubernetes: between 70 and 90 %)."""


class State(StrEnum):
    """How it stands with a certificate. One that is due is still good."""

    OK = "ok"
    DUE = "due"
    EXPIRED = "expired"
    MISSING = "missing"


@dataclass(frozen=True)
class Entry:
    """A certificate under the name it has on this machine; without `cert` it is not there, or its files are damaged."""

    name: str
    purpose: str
    cert: x509.Certificate | None
    renewal: datetime.datetime | None = None

    def state(self, now: datetime.datetime) -> State:
        """What it is at a moment."""
        if self.cert is None:
            return State.MISSING
        if now >= self.cert.not_valid_after_utc:
            return State.EXPIRED
        return State.DUE if self.renewal is not None and now >= self.renewal else State.OK

    def to_json(self, now: datetime.datetime) -> dict[str, Any]:
        """For programs; times are RFC 3339."""
        found = {"name": self.name, "purpose": self.purpose, "state": self.state(now)}
        if self.cert is None or self.renewal is None:
            return found
        return found | {
            "subject": self.cert.subject.rfc4514_string(),
            "issuer": self.cert.issuer.rfc4514_string(),
            "notBefore": _text(self.cert.not_valid_before_utc),
            "notAfter": _text(self.cert.not_valid_after_utc),
            "renewal": _text(self.renewal),
            "secondsLeft": int((self.cert.not_valid_after_utc - now).total_seconds()),
        }


def _text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def entries(machine: Machine) -> list[Entry]:
    """Everything that a machine of its role has, in a fixed order. Blocking."""
    found: list[Entry] = []
    if machine.is_control_plane:
        for one in certificates.wanted(machine):
            cert = one.place.read()
            found.append(Entry(one.name, one.purpose, cert, renewal(cert) if cert else None))
    found += _kubelet(machine)
    for name in certificates.COMMON_NAMES if machine.is_control_plane else (certificates.CA,):
        found += _authority(machine.pki / f"{name}.crt", name)
    return found


def _kubelet(machine: Machine) -> Iterator[Entry]:
    for kind, purpose in (("client", "kubelet to API server"), ("server", "the kubelet")):
        cert = InOneFile(machine.kubelet_pair(kind)).read()
        yield Entry(f"kubelet-{kind}", purpose, cert, _kubelet_renewal(cert) if cert else None)


def _kubelet_renewal(cert: x509.Certificate) -> datetime.datetime:
    begin, end = cert.not_valid_before_utc, cert.not_valid_after_utc
    return begin + (end - begin) * KUBELET_SHARE


def _authority(path: Path, name: str) -> Iterator[Entry]:
    certs = _read(path)
    if not certs:
        yield Entry(name, "authority", None)
    for position, cert in enumerate(certs):
        # The one that signs stands first; others are there while a CA is replaced.
        signs = position == 0
        yield Entry(
            name if signs else f"{name} ({position + 1})", "signs" if signs else "trusted, too", cert, renewal(cert)
        )


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []
