"""Every controller, by the name that `--controllers` knows. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from client.controller import Context
from controllers.aggregation import AggregationController
from controllers.bootstrapsigner import BootstrapSigner
from controllers.bootstraptokens import TokenCleaner
from controllers.certificates.authority import Authority
from controllers.certificates.controller import Approver, Cleaner
from controllers.certificates.controller import Signer as CertificateSigner
from controllers.cronjobs.controller import CronJobController
from controllers.daemonset.controller import DaemonSetController
from controllers.deployment.controller import DeploymentController
from controllers.disruption import DisruptionController
from controllers.endpoints.controller import EndpointsController, EndpointSliceController
from controllers.endpoints.mirroring import EndpointSliceMirroringController
from controllers.garbage.collector import GarbageCollector
from controllers.jobs.controller import JobController
from controllers.namespaces import NamespaceController
from controllers.nodes.eviction import TaintEvictionController
from controllers.nodes.ipam import NodeIpamController
from controllers.nodes.lifecycle import NodeLifecycleController
from controllers.podgc import PodGC
from controllers.quota import QuotaController
from controllers.replicas.controller import ReplicaSetController, ReplicationControllerController
from controllers.rootca import RootCAPublisher
from controllers.serviceaccounts import ServiceAccountController
from controllers.settings import Settings
from controllers.statefulset.controller import StatefulSetController
from controllers.tokens import Signer, TokenController
from controllers.ttl import TTLController
from controllers.volumes.attach_detach import AttachDetach
from controllers.volumes.binder import VolumeBinder
from controllers.volumes.ephemeral import EphemeralVolumes
from controllers.volumes.protection import ClaimProtection, VolumeProtection


class Runnable(Protocol):
    """What the manager runs: works until cancelled."""

    async def run(self) -> None: ...


Factory = Callable[[Context, Settings], Runnable | None]
"""Makes a controller and wires its informers; None when the settings leave out what it needs."""


def _plain(controller: Callable[[Context], Runnable]) -> Factory:
    return lambda ctx, _: controller(ctx)


def _root_ca(ctx: Context, settings: Settings) -> Runnable | None:
    return RootCAPublisher(ctx, settings.root_ca_file) if settings.root_ca_file else None


def _tokens(ctx: Context, settings: Settings) -> Runnable | None:
    key = settings.service_account_private_key_file
    if key is None or settings.root_ca_file is None:
        return None
    return TokenController(ctx, Signer(key.read_bytes()), settings.root_ca_file)


def _certificate_signer(ctx: Context, settings: Settings) -> Runnable | None:
    certificate, key = settings.cluster_signing_cert_file, settings.cluster_signing_key_file
    if certificate is None or key is None:
        return None
    return CertificateSigner(ctx, partial(Authority.from_files, certificate, key), settings.cluster_signing_duration)


def _node_ipam(ctx: Context, settings: Settings) -> Runnable:
    return NodeIpamController(ctx, settings.cluster_cidr, settings.node_cidr_mask_size)


def _pod_gc(ctx: Context, settings: Settings) -> Runnable:
    return PodGC(ctx, settings.terminated_pod_gc_threshold)


TABLE: dict[str, Factory] = {
    "serviceaccount-controller": _plain(ServiceAccountController),
    "root-ca-certificate-publisher-controller": _root_ca,
    "namespace-controller": _plain(NamespaceController),
    "node-ipam-controller": _node_ipam,
    "node-lifecycle-controller": NodeLifecycleController,
    "taint-eviction-controller": _plain(TaintEvictionController),
    "replicaset-controller": _plain(ReplicaSetController),
    "replicationcontroller-controller": _plain(ReplicationControllerController),
    "deployment-controller": _plain(DeploymentController),
    "daemonset-controller": _plain(DaemonSetController),
    "job-controller": _plain(JobController),
    "statefulset-controller": _plain(StatefulSetController),
    "cronjob-controller": _plain(CronJobController),
    "ttl-after-finished-controller": _plain(TTLController),
    "disruption-controller": _plain(DisruptionController),
    "resourcequota-controller": _plain(QuotaController),
    "serviceaccount-token-controller": _tokens,
    "certificatesigningrequest-approving-controller": _plain(Approver),
    "certificatesigningrequest-signing-controller": _certificate_signer,
    "certificatesigningrequest-cleaner-controller": _plain(Cleaner),
    "clusterrole-aggregation-controller": _plain(AggregationController),
    "bootstrap-signer-controller": _plain(BootstrapSigner),
    "token-cleaner-controller": _plain(TokenCleaner),
    "pod-garbage-collector-controller": _pod_gc,
    "garbage-collector-controller": _plain(GarbageCollector),
    "endpoints-controller": _plain(EndpointsController),
    "endpointslice-controller": _plain(EndpointSliceController),
    "endpointslice-mirroring-controller": _plain(EndpointSliceMirroringController),
    "persistentvolume-binder-controller": _plain(VolumeBinder),
    "ephemeral-volume-controller": _plain(EphemeralVolumes),
    "persistentvolumeclaim-protection-controller": _plain(ClaimProtection),
    "persistentvolume-protection-controller": _plain(VolumeProtection),
    "persistentvolume-attach-detach-controller": _plain(AttachDetach),
}


def select(patterns: str) -> list[str]:
    """The names that `--controllers` asks for: `*` for all, `name` adds, `-name` takes away. Raises ValueError."""
    words = [word.strip() for word in patterns.split(",") if word.strip()]
    unknown = [w for w in words if w != "*" and w.removeprefix("-") not in TABLE]
    if unknown:
        raise ValueError(f"no such controller: {', '.join(unknown)}; there are {', '.join(TABLE)}")
    off = {w[1:] for w in words if w.startswith("-")}
    return [name for name in TABLE if name not in off and ("*" in words or name in words)]
