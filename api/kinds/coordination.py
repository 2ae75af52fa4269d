"""Kinds of the group coordination.k8s.io: leases."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import NON_NEGATIVE, POSITIVE, Int32, MicroTime, Model
from api.kinds.meta import Kind


class LeaseSpec(Model):
    """Who holds the lease, since when and for how long."""

    acquireTime: MicroTime | None = None
    holderIdentity: str | None = None
    leaseDurationSeconds: Annotated[Int32 | None, POSITIVE] = None
    leaseTransitions: Annotated[Int32 | None, NON_NEGATIVE] = None
    preferredHolder: str | None = None
    renewTime: MicroTime | None = None
    strategy: str | None = None


class Lease(Kind):
    """A claim on a role that must be renewed: leadership, or a node's sign of life."""

    spec: LeaseSpec = Field(default_factory=LeaseSpec)
