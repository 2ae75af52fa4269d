"""`cloudctl certs rotate-ca`: another authority takes over, and at every moment everybody trusts whoever signs.

Three steps, each on every control plane and each repeatable: `start` has all machines trust the new authority beside the old one,
`switch` has the new one sign and everything it signs made anew, `finish` ends the trust in the old one. A step refuses
to be taken while machines are behind, and says which. How far this machine is, its files say.
"""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from api import resources
from client import kubeconfig
from client.backoff import Backoff
from client.rest import ApiClient
from cloudctl.cluster.pairs import PRIVATE, PUBLIC, replace
from cloudctl.cluster.pki import Authority, Leaf, to_bundle
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import certificates, discovery
from cloudctl.machine.certs import probes, renewal, successor
from cloudctl.machine.certs.places import save, with_authority
from cloudctl.machine.certs.revival import serving
from cloudctl.machine.controlplane import ControlPlane
from cloudctl.machine.layout import Machine

_PROBE, _PROBE_SECONDS = Leaf("kubernetes-admin", ("system:masters",)), 300
_SETTLE_SECONDS = 10.0


class Phase(StrEnum):
    """How far the replacement of an authority is on this machine."""

    NONE = "none"
    STARTED = "started"
    SWITCHED = "switched"


@dataclass
class Rotation:
    """One authority's replacement, on one control plane. `force` goes on although machines are behind.

    Steps raise ClusterError and ApiError, and return what remains to be done, in words.
    """

    machine: Machine
    authority: str
    client: ApiClient
    plane: ControlPlane
    force: bool = False

    def phase(self) -> Phase:
        """Read from the CA's file: beside the authority that signs stands a younger one, or an older."""
        signer = self._load()
        others = [
            cert for cert in x509.load_pem_x509_certificates(signer.bundle) if not _same_key(cert, signer.certificate)
        ]
        if not others:
            return Phase.NONE
        younger = any(cert.not_valid_before_utc > signer.certificate.not_valid_before_utc for cert in others)
        return Phase.STARTED if younger else Phase.SWITCHED

    async def start(self) -> str:
        """Have this machine, and with the first control plane all nodes, trust the authority that is to follow."""
        if self.phase() == Phase.SWITCHED:
            raise ClusterError(
                f"the last rotation of {self.authority} has not come to its end: `{self._line('finish')}`"
            )
        pair = await successor.shared(self.client, self.machine, self.authority)
        own = self._load()
        await self._trust(to_bundle([own.certificate, x509.load_pem_x509_certificate(pair.cert)]))
        pods = "have pods that talk to the API server start anew, unless they read their CA file again by themselves; then "
        return (
            f"`{self._line('start')}` on every other control plane; then {pods if self.authority == certificates.CA else ''}"
            f"`{self._line('switch')}` on every control plane"
        )

    async def switch(self, now: datetime.datetime) -> str:
        """Have the new authority sign from now on, and everything on this machine signed anew."""
        phase = self.phase()
        if phase == Phase.NONE:
            raise ClusterError(f"no rotation of {self.authority} has begun on this machine: `{self._line('start')}`")
        where = await probes.ports(self.client, self.authority)
        if phase == Phase.STARTED:
            pair, own = await successor.fetch(self.client, self.machine, self.authority), self._load()
            heir = Authority(self.machine.pki, self.authority, pair.cert, pair.key)
            behind = await probes.distrusting(where, own.bundle, heir.issue(_PROBE, _PROBE_SECONDS, now))
            self._refuse(behind, "do not trust the new authority yet")
            both = to_bundle([heir.certificate, own.certificate])
            with renewal.locked(self.machine.pki):
                replace({self._file("crt"): (both, PUBLIC), self._file("key"): (pair.key, PRIVATE)})
        renewal.renew(self.machine, now)
        servers = [port for port in where if not port.name.startswith("kubelet")]
        if behind := await self._still_old(servers, now):
            return f"`{self._line('switch')}` on the other control planes: " + "; ".join(behind)
        finish = f"`{self._line('finish')}` on every control plane"
        if self.authority != certificates.CA:
            return finish
        # The order tells kubelets who signs; not before every control plane does by the same authority.
        await discovery.set_ca(self.client, self._load().bundle)
        return (
            f"nodes ask for new certificates within a minute; fetch your copies of admin.kubeconfig anew; then {finish}"
        )

    async def finish(self, now: datetime.datetime) -> str:
        """Trust the old authority no longer."""
        phase = self.phase()
        if phase == Phase.STARTED:
            raise ClusterError(f"the old authority still signs on this machine: `{self._line('switch')}`")
        if phase == Phase.SWITCHED:
            where = await probes.ports(self.client, self.authority)
            self._refuse(await self._old(where, now), "do not have certificates of the new authority yet")
        await self._trust(to_bundle([self._load().certificate]))
        await successor.forget(self.client, self.authority)
        return f"`{self._line('finish')}` on every other control plane; `cloudctl certs` shows the one that is left"

    async def _old(self, where: list[probes.Port], now: datetime.datetime) -> list[str]:
        """Who does not serve by the authority that signs here."""
        signer = self._load()
        identity = signer.issue(_PROBE, _PROBE_SECONDS, now)
        return await probes.not_serving(where, to_bundle([signer.certificate]), identity)

    async def _still_old(self, where: list[probes.Port], now: datetime.datetime) -> list[str]:
        """The same, once this machine's own daemons have had time to read their files again."""
        backoff, behind = Backoff(first=0.1), await self._old(where, now)
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while any(self.machine.settings.address in complaint for complaint in behind):
                    await asyncio.sleep(backoff.next())
                    behind = await self._old(where, now)
        except TimeoutError:
            pass  # then they are among those who are behind
        return behind

    async def _trust(self, bundle: bytes) -> None:
        """Have whoever trusts the authority trust this bundle."""
        path = self._file("crt")
        changed = path.read_bytes() != bundle
        if changed:
            with renewal.locked(self.machine.pki):
                replace({path: (bundle, PUBLIC)})
        if self.authority == certificates.ETCD_CA:
            if changed:
                await self.plane.restart_store()
                await serving(self.client)
            return
        for who in certificates.CLIENTS:
            path = self.machine.kubeconfig(who)
            save(path, with_authority(kubeconfig.read(path), bundle))
        await discovery.set_ca(self.client, bundle)
        patch = {"data": {"client-ca-file": bundle.decode()}}
        await self.client.patch(
            resources.CONFIGMAPS, "extension-apiserver-authentication", patch, "kube-system", field_manager="cloudctl"
        )

    def _refuse(self, behind: list[str], what: str) -> None:
        if behind and not self.force:
            raise ClusterError(
                f"these {what}:\n  "
                + "\n  ".join(behind)
                + "\nRepeat this in a moment, or mend them. With --force they stay "
                "behind: workers come back by `cloudctl certs revive`"
            )

    def _load(self) -> Authority:
        return certificates.load_authority(self.machine, self.authority)

    def _file(self, suffix: str) -> Path:
        return self.machine.pki / f"{self.authority}.{suffix}"

    def _line(self, step: str) -> str:
        return f"cloudctl certs rotate-ca {step}" + (" --ca etcd" if self.authority == certificates.ETCD_CA else "")


def _same_key(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.public_key() == other.public_key()
