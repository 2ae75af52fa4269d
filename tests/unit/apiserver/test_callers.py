"""Certificates and impersonation."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.errors import BadRequest, Forbidden
from apiserver.auth.attributes import Attributes, Decision, Verdict
from apiserver.auth.certificates import CertificateAuthenticator
from apiserver.auth.impersonation import impersonated
from apiserver.auth.union import Authorization
from apiserver.auth.user import MASTERS, User
from tests.unit.apiserver.fakes import Clock

START = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


def certificate(*names: tuple[x509.ObjectIdentifier, str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(START).not_valid_after(START + timedelta(hours=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_certificate_names_user_and_groups() -> None:
    clock = Clock(START.timestamp() + 60)
    der = certificate((NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:n1"))
    found = CertificateAuthenticator(clock).authenticate(der)
    assert found is not None
    assert (found.name, found.groups) == ("system:node:n1", ("system:nodes", "system:authenticated"))
    assert found.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_a_certificate_that_expires_on_an_open_connection_counts_no_more() -> None:
    clock = Clock(START.timestamp() + 60)
    certificates = CertificateAuthenticator(clock)
    der = certificate((NameOID.COMMON_NAME, "alice"))
    assert certificates.authenticate(der)
    clock.now += 3600
    assert certificates.authenticate(der) is None


def test_a_certificate_without_a_common_name_names_nobody() -> None:
    clock = Clock(START.timestamp() + 60)
    assert CertificateAuthenticator(clock).authenticate(certificate((NameOID.ORGANIZATION_NAME, "x"))) is None
    assert CertificateAuthenticator(clock).authenticate(b"rubbish") is None


class Allows:
    """Allows the questions listed, as (resource/subresource, name)."""

    def __init__(self, *allowed: tuple[str, str]) -> None:
        self.allowed = allowed
        self.asked: list[tuple[str, str]] = []

    def authorize(self, attributes: Attributes) -> Decision:
        question = (attributes.full_resource, attributes.name)
        self.asked.append(question)
        return Decision(Verdict.ALLOW if question in self.allowed else Verdict.NO_OPINION)


CALLER = User("admin")


def headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(key.lower().encode(), value.encode()) for key, value in pairs]


def test_without_headers_the_caller_is_himself() -> None:
    assert impersonated(CALLER, headers(("accept", "x")), Allows()) is None


def test_every_part_of_an_identity_is_asked_for() -> None:
    allows = Allows(("users", "alice"), ("groups", "devs"), ("uids", "7"), ("userextras/example.com/a", "b"))
    found = impersonated(
        CALLER,
        headers(
            ("Impersonate-User", "alice"),
            ("Impersonate-Group", "devs"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-Example.com%2fa", "b"),
        ),
        allows,
    )
    assert found == User("alice", "7", ("devs", "system:authenticated"))
    assert found is not None and found.extra == {"example.com/a": ("b",)}
    assert len(allows.asked) == 4


def test_impersonation_that_is_not_allowed_is_forbidden() -> None:
    with pytest.raises(Forbidden) as caught:
        impersonated(CALLER, headers(("Impersonate-User", "alice")), Allows())
    assert caught.value.message == (
        'users "alice" is forbidden: User "admin" cannot impersonate resource "users" in API group "" at the cluster scope'
    )


def test_a_service_account_is_impersonated_as_one_and_gets_its_groups() -> None:
    allows = Allows(("serviceaccounts", "bot"))
    found = impersonated(CALLER, headers(("Impersonate-User", "system:serviceaccount:ns:bot")), allows)
    assert found is not None
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")


def test_parts_without_a_user_are_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        impersonated(CALLER, headers(("Impersonate-Group", "devs")), Allows())


def test_anonymous_stays_unauthenticated() -> None:
    found = impersonated(
        CALLER, headers(("Impersonate-User", "system:anonymous")), Allows(("users", "system:anonymous"))
    )
    assert found is not None and found.groups == ("system:unauthenticated",)


def test_masters_and_health_need_no_rule() -> None:
    nobody = Authorization([])
    assert nobody.authorize(Attributes(User("root", groups=(MASTERS,)), "delete", "", "v1", "nodes")).allowed
    assert nobody.authorize(Attributes(User("x"), "get", path="/healthz")).allowed
    assert not nobody.authorize(Attributes(User("x"), "get", path="/metrics")).allowed
