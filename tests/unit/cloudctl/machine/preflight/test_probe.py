"""The machine and the fake one keep the same promises; and what the real one reads is really so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client.command import CommandError
from cloudctl.machine.preflight.probe import Answer, Machine, Probe, Space
from tests.unit.cloudctl.machine.preflight.fake import FakeMachine

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
_INFO = b'{"ServerVersion": "24.0.7"}'


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback; its port. Ends when every connection has."""
    tasks: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.ensure_future(handler(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*tasks)


def saying(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who only connects, or speaks TLS to one who does not, asks nothing.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    return handle


@pytest.fixture(params=["real", "fake"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Probe, Path]:
    """A machine, and a folder of it in which the file `seen` says "hello"."""
    if request.param == "real":
        (tmp_path / "seen").write_text("hello")
        return Machine(docker=tmp_path / "no.sock"), tmp_path
    return FakeMachine(
        files={"/there/seen": "hello"},
        docker=FileNotFoundError(2, "no"),
        commands={"false": CommandError(["false"], 1, "")},
    ), Path("/there")


def test_a_file_is_read_and_one_that_is_not_there_is_empty(there: tuple[Probe, Path]) -> None:
    probe, folder = there
    assert (probe.read(folder / "seen"), probe.read(folder / "other")) == ("hello", "")
    assert [probe.exists(folder / name) for name in (".", "seen", "other", "seen.d/x")] == [True, True, False, False]
    assert [probe.writable(folder / name) for name in ("seen", "other")] == [True, False]


def test_room_is_that_of_the_nearest_folder_that_is_there(there: tuple[Probe, Path]) -> None:
    probe, folder = there
    space = probe.space(folder / "not" / "made" / "yet")
    assert 0 < space.free <= space.total
    assert space.total == probe.space(folder).total


async def test_programs_run_or_say_why_not(there: tuple[Probe, Path]) -> None:
    probe, _ = there
    await probe.run("true")
    with pytest.raises(CommandError) as caught:
        await probe.run("false")
    assert caught.value.code == 1


async def test_a_port_where_nobody_listens_refuses_and_docker_that_is_not_there_is_told(
    there: tuple[Probe, Path],
) -> None:
    probe, _ = there
    async with serving(saying(b"")) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        await probe.connect("127.0.0.1", port)
    with pytest.raises(OSError):
        await probe.answer("127.0.0.1", port)
    with pytest.raises(FileNotFoundError):
        await probe.engine()
    with pytest.raises(OSError):
        await probe.resolve("no.such.host.invalid")


async def test_writes_are_timed_and_leave_nothing(there: tuple[Probe, Path]) -> None:
    probe, folder = there
    times = await probe.sync_times(folder / "etcd")
    assert times and all(0 < seconds < 60 for seconds in times)
    assert not probe.exists(folder / "etcd")
    assert not folder.exists() or [path.name for path in folder.iterdir()] == ["seen"]


async def test_our_own_address_of_a_connection_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await Machine().connect("127.0.0.1", server.getsockname()[1]) == "127.0.0.1"


async def test_docker_is_asked_once_however_many_want_to_know(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + _INFO)
        writer.close()

    server = await asyncio.start_unix_server(engine, tmp_path / "docker.sock")
    async with server:
        machine = Machine(docker=tmp_path / "docker.sock")
        found = await asyncio.gather(*(machine.engine() for _ in range(3)))
    assert [info["ServerVersion"] for info in found] == ["24.0.7"] * 3
    assert len(asked) == 1 and asked[0].startswith(b"GET /info ")


@pytest.mark.parametrize(
    "answer", [b"", b"who is there?\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n[]", b"HTTP/1.0 500 No\r\n\r\n<p>"]
)
async def test_what_is_no_docker_is_not_taken_for_one(tmp_path: Path, answer: bytes) -> None:
    server = await asyncio.start_unix_server(saying(answer), tmp_path / "docker.sock")
    async with server:
        with pytest.raises(ConnectionError):
            await Machine(docker=tmp_path / "docker.sock").engine()


def tls(folder: Path) -> ssl.SSLContext:
    """A server's context whose certificate nobody has signed but itself, and which has expired: as far as a VM with a wrong
    clock can tell, that may be the right one."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pair = folder / "pair.pem"
    pair.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context


@pytest.mark.parametrize(
    ("header", "date"),
    [
        (b"Date: Tue, 01 Jan 2030 00:00:00 GMT\r\n", datetime(2030, 1, 1, tzinfo=UTC).timestamp()),
        (b"", None),
        (b"Date: soon\r\n", None),
    ],
)
async def test_a_server_s_clock_is_read_whoever_it_is(tmp_path: Path, header: bytes, date: float | None) -> None:
    before = time.time()
    async with serving(saying(b"HTTP/1.1 401 Unauthorized\r\n" + header + b"\r\n{}"), tls(tmp_path)) as port:
        found = await Machine().answer("127.0.0.1", port)
    assert isinstance(found, Answer)
    assert found.date == date
    assert before <= found.sent <= found.received <= time.time()


async def test_a_server_without_tls_is_no_api_server() -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        with pytest.raises(OSError):
            await Machine().answer("127.0.0.1", port)


def test_the_machine_knows_itself() -> None:
    machine = Machine()
    assert machine.cores() >= 1 and machine.hostname()
    assert isinstance(machine.clock_synchronised(), bool)
    assert isinstance(machine.space("/"), Space)
