"""The server's TLS: certificate and callers' CA change from one connection to the next, without a restart."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from controllers.certificates.authority import Authority
from kubelet.certificates import pair
from kubelet.certificates.signing import client_certificate, serving_certificate
from kubelet.settings import Settings
from kubelet.tls import ServerTls
from tests.unit.kubelet.authority import authority, issue


def shake_hands(front: ssl.SSLContext, client: ssl.SSLContext) -> tuple[bytes | None, bytes | None]:
    """The certificates that server and client have seen of each other; in memory, no host named. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), front.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True), ends[1].getpeercert(binary_form=True)


def caller(folder: Path, ca: Authority | None = None) -> ssl.SSLContext:
    """A client that looks at no certificate but its own, signed by `ca`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ca:
        file = folder / "caller.pem"
        pair.write(file, issue(ca, client_certificate("caller")))
        context.load_cert_chain(file)
    return context


def der(path: Path) -> bytes:
    text = path.read_text()
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----BEGIN PRIVATE")])


def test_a_new_certificate_serves_the_next_connection(tmp_path: Path) -> None:
    ca, settings = Authority(*authority()), Settings("n", tmp_path, rotate_server_certificates=True)
    tls = ServerTls(settings)
    front, client = tls.context(), caller(tmp_path)
    own, _ = shake_hands(front, client)
    assert own == ssl.PEM_cert_to_DER_cert((settings.certificates / "kubelet.crt").read_text())
    for _ in range(2):
        pair.write(settings.server_pair, issue(ca, serving_certificate("n", ())))
        tls.use(settings.server_pair)
        assert shake_hands(front, client)[0] == der(settings.server_pair)
    assert shake_hands(ServerTls(settings).context(), client)[0] == der(settings.server_pair)


def test_a_file_of_no_use_does_not_keep_the_node_from_serving(tmp_path: Path) -> None:
    settings = Settings("n", tmp_path, rotate_server_certificates=True)
    pair.write(settings.server_pair, b"")
    tls = ServerTls(settings)
    own, _ = shake_hands(tls.context(), caller(tmp_path))
    assert own == ssl.PEM_cert_to_DER_cert((settings.certificates / "kubelet.crt").read_text())


async def test_the_callers_ca_is_followed(tmp_path: Path) -> None:
    (old, old_key), (new, new_key), file = authority("old"), authority("new"), tmp_path / "ca" / "ca.crt"
    file.parent.mkdir()
    file.write_bytes(old)
    tls = ServerTls(Settings("n", tmp_path, client_ca=str(file)))
    front = tls.context()
    first, second = caller(tmp_path, Authority(old, old_key)), caller(tmp_path, Authority(new, new_key))
    with tls.following():
        assert shake_hands(front, first)[1]
        with pytest.raises(ssl.SSLError):
            shake_hands(front, second)
        await replaced(file, old + new)
        assert shake_hands(front, first)[1] and shake_hands(front, second)[1]
        await replaced(file, new)
        assert shake_hands(front, second)[1]
        with pytest.raises(ssl.SSLError):
            shake_hands(front, first)
        await replaced(file, b"nonsense")
        assert shake_hands(front, second)[1]


async def replaced(path: Path, content: bytes) -> None:
    """Replace a file, and give the loop the turn in which the kernel tells of it."""
    await asyncio.to_thread(pair.write, path, content)
    told = asyncio.Event()
    asyncio.get_running_loop().call_soon(told.set)
    await told.wait()
    await asyncio.sleep(0)
