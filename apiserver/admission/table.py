"""The admission plugins of this server, in the order they are asked. One visible table, as in Kubernetes' own documentation.

Mutating plugins may change the object and run before validation; validating ones see the object as it will be stored. Those
that take something (addresses, quota) come last, so that a refusal before them has nothing to give back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.admission import certificates, defaults
from apiserver.admission.limit_ranger import LimitRanger
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.node_restriction import NodeRestriction
from apiserver.admission.owner_references import OwnerReferencesPermissionEnforcement
from apiserver.admission.pod_security import PodSecurity
from apiserver.admission.priority import Priority
from apiserver.admission.rbac_escalation import RbacEscalation
from apiserver.admission.resource_quota import ResourceQuota
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import Accounts, ServiceAccount
from apiserver.allocators import ServiceAllocator
from apiserver.auth.attributes import Authorizer
from apiserver.auth.rbac import RbacIndex
from apiserver.plugins import Admit

if TYPE_CHECKING:
    from apiserver.core import Core

OFF_BY_DEFAULT = ("DenyServiceExternalIPs", "OwnerReferencesPermissionEnforcement")


def mutating(core: Core, accounts: Accounts, allocator: ServiceAllocator) -> tuple[tuple[str, Admit], ...]:
    """Return (name, plugin) of the mutating plugins, in order."""
    lookup, feed = core.lookup, core.feed
    return (
        ("NamespaceLifecycle", NamespaceLifecycle(lookup, feed)),
        ("LimitRanger", LimitRanger(lookup)),
        ("ServiceAccount", ServiceAccount(accounts)),
        ("TaintNodesByCondition", defaults.taint_nodes_by_condition),
        ("Priority", Priority(lookup, feed)),
        ("DefaultTolerationSeconds", defaults.default_toleration_seconds),
        ("DefaultStorageClass", defaults.DefaultStorageClass(lookup)),
        ("DefaultIngressClass", defaults.DefaultIngressClass(lookup)),
        ("StorageObjectInUseProtection", defaults.storage_object_in_use_protection),
        ("RuntimeClass", RuntimeClass(lookup, feed)),
        ("CertificateRequester", certificates.certificate_requester),
        ("ServiceAllocator", allocator),
    )


def validating(core: Core, authorizer: Authorizer, index: RbacIndex) -> tuple[tuple[str, Admit], ...]:
    """Return (name, plugin) of the validating plugins, in order."""
    lookup = core.lookup
    return (
        ("NodeRestriction", NodeRestriction(lookup)),
        ("PodSecurity", PodSecurity(lookup)),
        ("OwnerReferencesPermissionEnforcement", OwnerReferencesPermissionEnforcement(authorizer)),
        ("RbacEscalation", RbacEscalation(authorizer, index)),
        ("PersistentVolumeClaimResize", defaults.PersistentVolumeClaimResize(lookup)),
        ("CertificateApproval", certificates.CertificateApproval(authorizer)),
        ("CertificateSigning", certificates.CertificateSigning(authorizer)),
        ("CertificateSubjectRestriction", certificates.certificate_subject_restriction),
        ("DenyServiceExternalIPs", defaults.deny_service_external_ips),
        ("ResourceQuota", ResourceQuota()),
    )


def enabled(plugins: tuple[tuple[str, Admit], ...], disabled: tuple[str, ...] = OFF_BY_DEFAULT) -> tuple[Admit, ...]:
    """Return the plugins that are on."""
    return tuple(plugin for name, plugin in plugins if name not in disabled)
