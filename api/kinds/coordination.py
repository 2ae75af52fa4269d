"""The models of coordination."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import NON_NEGATIVE, POSITIVE, Int32, MicroTime, Model
from api.kinds.meta import Kind


class LeaseSpec(Model):
    """What is wanted of a Lease."""

    acquireTime: MicroTime | None = None
    holderIdentity: str | None = None
    leaseDurationSeconds: Annotated[Int32 | None, POSITIVE] = None
    leaseTransitions: Annotated[Int32 | None, NON_NEGATIVE] = None
    preferredHolder: str | None = None
    renewTime: MicroTime | None = None
    strategy: str | None = None


class Lease(Kind):
    """Lease."""

    spec: LeaseSpec = Field(default_factory=LeaseSpec)
