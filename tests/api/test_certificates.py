"""Certificates, keys and CA bundles that change while the server runs."""

import base64
import json
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.api import kubelet as fakes
from tests.api.cluster import HOST, Cluster
from tests.api.conftest import connect
from tests.api.http import Api
from tests.api.kubelet import Kubelet
from tests.api.load import Load
from tests.api.objects import pod
from tests.api.pki import Authority
from tests.api.trio import Trio

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
def own() -> Iterator[Cluster]:
    """A server of the test's own, because its files are exchanged."""
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-certificates-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def successor(own: Cluster) -> Authority:
    """Another CA of the same name, as a CA's rotation makes it."""
    return Authority(own.folder / "successor")


def eventually(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so after {seconds} s"


def put(path: Path, content: bytes) -> None:
    """Replace a file in one step."""
    young = path.with_name(f".{path.name}.new")
    young.write_bytes(content)
    young.replace(path)


def replace(pki: Path, name: str, pair: tuple[Path, Path]) -> None:
    for suffix, path in zip(("crt", "key"), pair, strict=True):
        put(pki / f"{name}.{suffix}", path.read_bytes())


def serial(cluster: Cluster) -> int:
    """The serial number of the certificate that a new connection is shown."""
    shown = ssl.get_server_certificate((HOST, cluster.port), timeout=10)
    return x509.load_pem_x509_certificate(shown.encode()).serial_number


def who(cluster: Cluster, certificate: Path, key: Path) -> str:
    """Whom the server takes a new connection's certificate for; "" if it does not take the certificate."""
    context = ssl.create_default_context(cafile=cluster.pki / "ca.crt")
    context.load_cert_chain(certificate, key)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        with httpx.Client(verify=context, timeout=10) as client:
            answer = client.post(cluster.url + WHOAMI, json=review)
    except httpx.TransportError:
        return ""
    return str(answer.json()["status"]["userInfo"]["username"]) if answer.status_code == 201 else ""


def test_new_connections_are_shown_the_new_certificate_and_old_ones_go_on(own: Cluster, tmp_path: Path) -> None:
    with connect(own) as before:
        assert before.get("/version").status_code == 200
        old = serial(own)
        put(own.pki / "apiserver.key", b"half a pair")
        assert serial(own) == old
        # Signed by the cluster's CA under a name of its own, then put in place.
        authority = Authority.read(own.pki)
        replace(own.pki, "apiserver", authority.issue("young", "kube-apiserver", hosts=(HOST, "localhost")))
        young = x509.load_pem_x509_certificate((own.pki / "apiserver.crt").read_bytes()).serial_number
        eventually(lambda: serial(own) == young)
        for _ in range(20):
            assert serial(own) == young
        assert before.get("/version").status_code == 200
        with connect(own) as after:
            assert after.get("/version").status_code == 200


def test_two_cas_of_one_name_overlap_and_the_one_taken_out_is_trusted_no_more(
    own: Cluster, successor: Authority
) -> None:
    old = (own.pki / "admin.crt", own.pki / "admin.key")
    young = successor.issue("admin", "young-admin", "system:masters")
    bundle = own.folder / "clients.crt"
    bundle.write_bytes((own.pki / "ca.crt").read_bytes())
    own.stop("apiserver")
    own.flags = (f"--client-ca-file={bundle}",)
    own.start_server()
    assert who(own, *old) == "kubernetes-admin" and who(own, *young) == ""
    with connect(own) as client:
        api = Api(client)
        both = (own.pki / "ca.crt").read_bytes() + successor.ca.read_bytes()
        put(bundle, both)
        eventually(lambda: who(own, *young) == "young-admin")
        assert who(own, *old) == "kubernetes-admin"
        configmap = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        eventually(lambda: bool(api.get(configmap)["data"]["client-ca-file"] == both.decode()))
        put(bundle, successor.ca.read_bytes())
        eventually(lambda: who(own, *old) == "")
        for _ in range(10):
            assert who(own, *old) == "" and who(own, *young) == "young-admin"
        assert api.get("/version")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_cannot_be_resumed_under_a_ca_that_has_been_taken_out(
    own: Cluster, successor: Authority, newest: ssl.TLSVersion
) -> None:
    bundle = own.folder / "clients.crt"
    bundle.write_bytes((own.pki / "ca.crt").read_bytes())
    own.stop("apiserver")
    own.flags = (f"--client-ca-file={bundle}",)
    own.start_server()
    context = ssl.create_default_context(cafile=own.pki / "ca.crt")
    context.maximum_version = newest
    context.load_cert_chain(own.pki / "admin.crt", own.pki / "admin.key")

    def visit(session: ssl.SSLSession | None = None) -> tuple[bytes, ssl.SSLSession | None, bool]:
        request = f"GET /apis HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode()
        with (
            socket.create_connection((HOST, own.port), 10) as plain,
            context.wrap_socket(plain, server_hostname=HOST, session=session) as secure,
        ):
            secure.sendall(request)
            return secure.recv(12), secure.session, bool(secure.session_reused)

    status, session, _ = visit()
    assert status.endswith(b"200") and visit(session)[2]
    put(bundle, successor.ca.read_bytes())

    def refused() -> bool:
        try:
            return not visit(session)[0]
        except (ssl.SSLError, ConnectionError):
            return True

    eventually(refused)


def test_tokens_of_several_keys_are_good_until_their_key_is_taken_out(own: Cluster, tmp_path: Path) -> None:
    second, private = Authority(tmp_path / "second").service_account_key()
    own.stop("apiserver")
    more = own.folder / "more.pub"
    more.write_bytes((own.pki / "sa.pub").read_bytes())
    own.flags = (f"--service-account-key-file={more}",)
    own.start_server()
    account = "/api/v1/namespaces/default/serviceaccounts"
    with connect(own) as client:
        api = Api(client)
        api.post(account, {"metadata": {"name": "bot"}})
        old = api.post(f"{account}/bot/token", {"spec": {}})["status"]["token"]

        def good(token: str) -> bool:
            headers = {"authorization": f"Bearer {token}"}
            context = ssl.create_default_context(cafile=own.pki / "ca.crt")
            return httpx.get(own.url + "/version", headers=headers, verify=context, timeout=10).status_code == 200

        assert good(old)
        put(more, second.read_bytes())
        eventually(lambda: len(api.get("/openid/v1/jwks")["keys"]) == 2)
        put(own.pki / "sa.key", private.read_bytes())

        def issued() -> str:
            return str(api.post(f"{account}/bot/token", {"spec": {}})["status"]["token"])

        eventually(lambda: _key(issued()) != _key(old))
        assert good(issued()) and good(old)
        put(own.pki / "sa.pub", second.read_bytes())
        eventually(lambda: not good(old))
        assert good(issued())


def _key(token: str) -> str:
    head = token.split(".", maxsplit=1)[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def test_calls_to_kubelets_show_the_new_certificate(own: Cluster, successor: Authority) -> None:
    fake = Kubelet()
    mine = [(own.pki / f"apiserver-kubelet-client.{suffix}").read_bytes() for suffix in ("crt", "key")]
    with fakes.serve(fake.app, fake.port, own.pki), connect(own) as client:
        api = Api(client)
        api.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        api.post("/api/v1/nodes", fakes.node("n", fake.port))
        api.post("/api/v1/namespaces/default/pods", pod("p", nodeName="n"))
        log = "/api/v1/namespaces/default/pods/p/log"

        def code() -> int:
            return client.get(log).status_code

        assert code() == 200
        replace(own.pki, "apiserver-kubelet-client", successor.issue("kubelet-client", "somebody"))
        eventually(lambda: code() != 200)
        for suffix, content in zip(("crt", "key"), mine, strict=True):
            put(own.pki / f"apiserver-kubelet-client.{suffix}", content)
        eventually(lambda: code() == 200)


def loaded(server: Cluster) -> int:
    """How often the server has said that it has loaded a changed file."""
    return (server.folder / f"{server.name}.log").read_text().count("has been loaded")


def test_the_certificate_for_etcd_is_exchanged_without_a_failed_request(own: Cluster) -> None:
    authority = Authority(own.folder / "etcd-pki")
    authority.issue("client", "kube-apiserver")
    folder = own.folder / "trio"
    folder.mkdir()
    trio = Trio(folder, authority)
    pki = authority.folder
    try:
        trio.start()
        flags = (f"--etcd-cafile={pki}/ca.crt", f"--etcd-certfile={pki}/client.crt", f"--etcd-keyfile={pki}/client.key")
        server = Cluster(own.folder, flags=flags, etcd_servers=trio.urls(), name="apiserver-2")
        server.start_server()
        try:
            with Load(lambda: connect(server)) as load:
                load.until()
                for _ in range(3):
                    count = loaded(server)
                    replace(pki, "client", authority.issue("young", "kube-apiserver"))
                    eventually(lambda: loaded(server) > count)  # noqa: B023 - used before the next round
                    load.until()
            assert not load.creates.refused and not load.updates.refused and not load.reads.refused
        finally:
            server.stop("apiserver-2")
    finally:
        trio.close()
