"""The subresources and unstored resources this server answers, in one visible table."""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.plugins import Handler
from apiserver.subresources.approval import approval
from apiserver.subresources.binding import bindings, pod_binding
from apiserver.subresources.eviction import eviction
from apiserver.subresources.interactive import interactive
from apiserver.subresources.kubelets import Kubelets
from apiserver.subresources.logs import PodLogs
from apiserver.subresources.pod_parts import ephemeral_containers, resize
from apiserver.subresources.proxy import proxies
from apiserver.subresources.tokens import TokenRequests


def subresources(kubelets: Kubelets, tokens: TokenRequests) -> Mapping[tuple[str, str], Handler]:
    """Return the handlers by (plural, subresource)."""
    return {
        ("pods", "log"): PodLogs(kubelets),
        **interactive(kubelets),
        **proxies(kubelets),
        ("pods", "binding"): pod_binding,
        ("pods", "eviction"): eviction,
        ("pods", "ephemeralcontainers"): ephemeral_containers,
        ("pods", "resize"): resize,
        ("serviceaccounts", "token"): tokens,
        ("certificatesigningrequests", "approval"): approval,
    }


RESOURCES: Mapping[tuple[str, str], Handler] = {("", "bindings"): bindings}
"""Handlers of create, by (group, plural), beside the reviews."""
