"""ServiceAccount tokens: what the issuer signs the verifier believes, as long as what it is bound to lives."""

import base64
import timeit
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api import timestamp
from api.errors import Unauthorized
from api.resources import NODES, PODS, SECRETS, SERVICEACCOUNTS
from apiserver.auth.authenticator import Authenticator, InvalidToken
from apiserver.auth.bootstrap_tokens import BootstrapTokens
from apiserver.auth.jwt_tokens import EXTENDED, LEGACY_ISSUER, BadToken, Bound, Subject, TokenIssuer, TokenVerifier
from apiserver.auth.keys import SigningKey, VerifyKey, algorithm_of, key_id_of, parse_public_keys
from apiserver.auth.token_file import BadTokenFile, TokenFile
from tests.unit.apiserver.fakes import Clock, FakeLookup

ISSUER = "https://kubernetes.default.svc.cluster.local"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def signing(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> SigningKey:
    public = key.public_key()
    return SigningKey(key_id_of(public), algorithm_of(public), key)


def verifying(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> VerifyKey:
    public = key.public_key()
    return VerifyKey(key_id_of(public), algorithm_of(public), public)


class Setup:
    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = RSA) -> None:
        self.clock = Clock()
        self.lookup = FakeLookup()
        self.lookup.put(SERVICEACCOUNTS, {"metadata": {"namespace": "ns", "name": "bot", "uid": "sa-1"}})
        self.issuer = TokenIssuer(ISSUER, signing(key), self.clock)
        self.verifier = TokenVerifier([ISSUER], [verifying(RSA), verifying(EC)], [ISSUER], self.lookup, self.clock)

    def token(self, bound: Bound | None = None, node: Bound | None = None, seconds: int = 600, **kw: Any) -> str:
        return self.issuer.issue(Subject("ns", "bot", "sa-1", bound, node), [ISSUER], seconds, **kw)[0]

    def pod(self, uid: str = "pod-1") -> None:
        self.lookup.put(PODS, {"metadata": {"namespace": "ns", "name": "p", "uid": uid}, "spec": {}})


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
def test_an_issued_token_is_believed(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    setup = Setup(key)
    verified = setup.verifier.verify(setup.token())
    assert verified is not None
    assert verified.user.name == "system:serviceaccount:ns:bot"
    assert verified.user.uid == "sa-1"
    assert verified.user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert verified.audiences == (ISSUER,)


def test_a_bound_token_tells_its_pod_and_node() -> None:
    setup = Setup()
    setup.pod()
    verified = setup.verifier.verify(setup.token(Bound("Pod", "p", "pod-1"), Bound("Node", "n", "node-1")))
    assert verified is not None
    extra = verified.user.extra
    assert extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert extra["authentication.kubernetes.io/node-uid"] == ("node-1",)
    assert extra["authentication.kubernetes.io/credential-id"][0].startswith("JTI=")


def test_tokens_of_other_issuers_are_nobodys_business() -> None:
    setup = Setup()
    foreign = jwt.encode({"iss": "https://elsewhere"}, RSA, algorithm="RS256")
    assert setup.verifier.verify(foreign) is None
    assert setup.verifier.verify("abcdef.0123456789abcdef") is None
    assert setup.verifier.verify("a.b.c") is None


def test_a_token_ends_at_its_time() -> None:
    setup = Setup()
    token = setup.token(seconds=600)
    setup.clock.now += 700
    with pytest.raises(BadToken, match="expired"):
        setup.verifier.verify(token)


def test_a_token_signed_by_another_key_is_refused() -> None:
    setup = Setup()
    other = rsa.generate_private_key(65537, 2048)
    token, _ = TokenIssuer(ISSUER, signing(other), setup.clock).issue(Subject("ns", "bot", "sa-1"), [ISSUER], 600)
    with pytest.raises(BadToken, match="no key"):
        setup.verifier.verify(token)


def test_no_algorithm_but_the_keys_own_is_accepted() -> None:
    setup = Setup()
    claims = jwt.decode(setup.token(), options={"verify_signature": False})
    for forged in (jwt.encode(claims, "", algorithm="none"), jwt.encode(claims, "s" * 64, algorithm="HS256")):
        with pytest.raises(BadToken):
            setup.verifier.verify(forged)


def test_a_token_is_good_for_its_audiences_only() -> None:
    setup = Setup()
    token, _ = setup.issuer.issue(Subject("ns", "bot", "sa-1"), ["vault"], 600)
    with pytest.raises(BadToken, match="audiences"):
        setup.verifier.verify(token)
    verified = setup.verifier.verify(token, ["vault", "other"])
    assert verified is not None and verified.audiences == ("vault",)


@pytest.mark.parametrize("change", ["gone", "replaced", "deleted"])
def test_a_token_dies_with_the_pod_it_is_bound_to(change: str) -> None:
    setup = Setup()
    setup.pod()
    token = setup.token(Bound("Pod", "p", "pod-1"))
    assert setup.verifier.verify(token)
    if change == "gone":
        setup.lookup.drop(PODS, "ns", "p")
    elif change == "replaced":
        setup.pod("pod-2")
    else:
        ended = datetime.fromtimestamp(setup.clock.now - 61, UTC)
        found = setup.lookup.get(PODS, "ns", "p")
        assert found is not None
        found["metadata"]["deletionTimestamp"] = timestamp.format(ended)
    with pytest.raises(BadToken, match="pod p"):
        setup.verifier.verify(token)


def test_a_token_bound_to_a_secret_or_node_dies_with_it() -> None:
    setup = Setup()
    setup.lookup.put(SECRETS, {"metadata": {"namespace": "ns", "name": "s", "uid": "s-1"}})
    setup.lookup.put(NODES, {"metadata": {"name": "n", "uid": "n-1"}})
    by_secret, by_node = setup.token(Bound("Secret", "s", "s-1")), setup.token(Bound("Node", "n", "n-1"))
    assert setup.verifier.verify(by_secret) and setup.verifier.verify(by_node)
    setup.lookup.drop(SECRETS, "ns", "s")
    setup.lookup.drop(NODES, "", "n")
    for token in (by_secret, by_node):
        with pytest.raises(BadToken, match="gone"):
            setup.verifier.verify(token)


def test_a_token_dies_with_its_account() -> None:
    setup = Setup()
    token = setup.token()
    setup.lookup.put(SERVICEACCOUNTS, {"metadata": {"namespace": "ns", "name": "bot", "uid": "sa-2"}})
    with pytest.raises(BadToken, match="another one"):
        setup.verifier.verify(token)


def test_a_pods_token_asked_for_an_hour_lives_a_year_and_says_when_to_renew() -> None:
    setup = Setup()
    token, told = setup.issuer.issue(Subject("ns", "bot", "sa-1"), [ISSUER], 3607, extend=True)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == EXTENDED
    assert claims["kubernetes.io"]["warnafter"] == told == claims["iat"] + 3607


def legacy(**claims: str) -> str:
    prefix = "kubernetes.io/serviceaccount/"
    found = {
        "iss": LEGACY_ISSUER,
        "sub": "system:serviceaccount:ns:bot",
        f"{prefix}namespace": "ns",
        f"{prefix}secret.name": "bot-token",
        f"{prefix}service-account.name": "bot",
        f"{prefix}service-account.uid": "sa-1",
    }
    return jwt.encode(found | claims, RSA, algorithm="RS256")


def test_a_token_kept_in_a_secret_lives_as_long_as_the_secret() -> None:
    setup = Setup()
    token = legacy()
    data = {"token": base64.b64encode(token.encode()).decode()}
    setup.lookup.put(SECRETS, {"metadata": {"namespace": "ns", "name": "bot-token"}, "data": data})
    verified = setup.verifier.verify(token)
    assert verified is not None and verified.user.name == "system:serviceaccount:ns:bot"
    data["token"] = base64.b64encode(b"rotated").decode()
    with pytest.raises(BadToken, match="invalidated"):
        setup.verifier.verify(token)
    setup.lookup.drop(SECRETS, "ns", "bot-token")
    with pytest.raises(BadToken, match="invalidated"):
        setup.verifier.verify(token)


def test_public_keys_are_read_from_public_and_private_pem() -> None:
    private = RSA.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = EC.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    keys = parse_public_keys(private + public)
    assert [key.algorithm for key in keys] == ["RS256", "ES256"]
    assert keys[0].jwk()["kid"] == keys[0].key_id
    assert "d" not in keys[0].jwk()


def bootstrap_secret(**data: str) -> FakeLookup:
    lookup = FakeLookup()
    fields = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:cloudlet:workers",
    } | data
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in fields.items()}
    meta = {"namespace": "kube-system", "name": "bootstrap-token-abcdef"}
    lookup.put(SECRETS, {"metadata": meta, "type": "bootstrap.kubernetes.io/token", "data": encoded})
    return lookup


def test_a_bootstrap_token_makes_a_bootstrapper() -> None:
    found = BootstrapTokens(bootstrap_secret(), Clock()).authenticate("abcdef.0123456789abcdef")
    assert found is not None
    assert found.name == "system:bootstrap:abcdef"
    assert found.groups == ("system:bootstrappers", "system:bootstrappers:cloudlet:workers", "system:authenticated")


@pytest.mark.parametrize(
    "data",
    [
        {"token-secret": "fedcba9876543210"},
        {"usage-bootstrap-authentication": "false"},
        {"expiration": "2020-01-01T00:00:00Z"},
        {"expiration": "some day"},
        {"auth-extra-groups": "system:masters"},
    ],
)
def test_a_bootstrap_token_that_does_not_hold_is_nobody(data: dict[str, str]) -> None:
    assert BootstrapTokens(bootstrap_secret(**data), Clock()).authenticate("abcdef.0123456789abcdef") is None


def test_the_token_file_is_csv() -> None:
    tokens = TokenFile(['s3cret,alice,1,"devs, ops"', "", "other,bob,2"])
    found = tokens.authenticate("s3cret")
    assert found is not None and (found.name, found.uid, found.groups) == (
        "alice",
        "1",
        ("devs", "ops", "system:authenticated"),
    )
    assert tokens.authenticate("nonsense") is None
    with pytest.raises(BadTokenFile, match="line 1"):
        TokenFile(["only-a-token"])


def test_callers_are_found_by_what_they_show() -> None:
    setup = Setup()
    static = TokenFile(["s3cret,alice,1"])
    authenticator = Authenticator(tokens=setup.verifier, static=static, now=setup.clock)
    assert authenticator.authenticate(None, "").name == "system:anonymous"
    assert authenticator.authenticate(None, "Bearer s3cret").name == "alice"
    assert authenticator.authenticate(None, f"Bearer {setup.token()}").name == "system:serviceaccount:ns:bot"
    encoded = base64.urlsafe_b64encode(b"s3cret").rstrip(b"=").decode()
    assert (
        authenticator.authenticate(None, "", f"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}").name
        == "alice"
    )
    with pytest.raises(Unauthorized) as caught:
        authenticator.authenticate(None, "Bearer wrong")
    assert caught.value.message == "Unauthorized"
    with pytest.raises(InvalidToken):
        authenticator.authenticate_token("wrong")


def test_without_anonymous_access_everybody_shows_something() -> None:
    with pytest.raises(Unauthorized):
        Authenticator(anonymous=False).authenticate(None, "")


def test_a_verified_token_is_believed_ten_seconds_and_no_longer_than_it_lives() -> None:
    setup = Setup()
    authenticator = Authenticator(tokens=setup.verifier, now=setup.clock)
    token = setup.token()
    authenticator.authenticate_token(token)
    setup.lookup.drop(SERVICEACCOUNTS, "ns", "bot")
    setup.clock.now += 9
    authenticator.authenticate_token(token)
    setup.clock.now += 2
    with pytest.raises(InvalidToken):
        authenticator.authenticate_token(token)


def test_a_known_token_costs_under_ten_microseconds() -> None:
    setup = Setup()
    authenticator = Authenticator(tokens=setup.verifier)
    setup.issuer = TokenIssuer(ISSUER, signing(RSA))
    setup.verifier._now = authenticator._now
    header = f"Bearer {setup.token()}"
    authenticator.authenticate(None, header)
    best = min(timeit.repeat(lambda: authenticator.authenticate(None, header), number=2000, repeat=5)) / 2000
    assert best < 10e-6, f"{best * 1e6:.1f} µs"
