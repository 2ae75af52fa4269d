"""Kinds of the group certificates.k8s.io: signing requests."""

from typing import Annotated

from pydantic import Field

from api.kinds.base import ATOMIC, LISTED, REQUIRED, Base64, Int32, ListMap, Model, Time
from api.kinds.meta import Kind


class CertificateSigningRequestSpec(Model):
    """The request, the signer that is asked, and the usages wanted."""

    expirationSeconds: Int32 | None = None
    extra: dict[str, list[str]] | None = None
    groups: Annotated[list[str] | None, ATOMIC] = None
    request: Annotated[Base64 | None, REQUIRED] = None
    signerName: Annotated[str | None, REQUIRED] = None
    uid: str | None = None
    usages: Annotated[list[str] | None, ATOMIC] = None
    username: str | None = None


class CertificateSigningRequestCondition(Model):
    """One condition of a signing request."""

    lastTransitionTime: Time | None = None
    lastUpdateTime: Time | None = None
    message: str | None = None
    reason: str | None = None
    status: Annotated[str, LISTED] = ""
    type: Annotated[str, LISTED] = ""


class CertificateSigningRequestStatus(Model):
    """Whether it was approved, and the certificate."""

    certificate: Base64 | None = None
    conditions: Annotated[list[CertificateSigningRequestCondition] | None, ListMap("type")] = None


class CertificateSigningRequest(Kind):
    """Asks a signer for a certificate."""

    spec: Annotated[CertificateSigningRequestSpec, REQUIRED] = Field(default_factory=CertificateSigningRequestSpec)
    status: CertificateSigningRequestStatus = Field(default_factory=CertificateSigningRequestStatus)
