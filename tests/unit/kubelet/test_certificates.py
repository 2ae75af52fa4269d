"""The node's certificates: one file each, asked for by a request, renewed in time, also when the clock jumps."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from api.errors import ServiceUnavailable
from api.types import Object
from client import kubeconfig
from client.clock import FakeClock
from controllers.certificates.authority import Authority
from kubelet.certificates import bootstrap, pair
from kubelet.certificates.pair import Pair
from kubelet.certificates.rotation import Rotation
from kubelet.certificates.signing import NotSigned, Wanted, client_certificate, serving_certificate, signed
from kubelet.settings import Settings, parse, settings
from tests.unit.kubelet.authority import SigningApi, authority, issue, signer
from tests.unit.kubelet.authority import pair as new_pair

CA = Authority(*authority())
CLIENT = client_certificate("n")
SERVING = serving_certificate("n", ("10.0.0.1", "fd00::1"))


# --- one file -------------------------------------------------------------------------------------------------------


def test_a_pair_reads_back_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "pki" / "current.pem"
    pair.write(path, issue(CA, SERVING))
    found = pair.read(path)
    assert found and found.common_name == "system:node:n" and found.names == {"n", "10.0.0.1", "fd00::1"}
    assert path.stat().st_mode & 0o777 == 0o600 and list(path.parent.iterdir()) == [path]


def test_a_file_of_no_use_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "current.pem"
    assert pair.read(path) is None
    stranger = issue(CA, CLIENT)
    for pem in (b"", b"nonsense", stranger[: stranger.index(b"-----BEGIN PRIVATE")]):
        path.write_bytes(pem)
        assert pair.read(path) is None
    path.write_bytes(issue(CA, CLIENT, key_of=stranger[stranger.index(b"-----BEGIN PRIVATE") :]))
    assert pair.read(path) is None


# --- asking ---------------------------------------------------------------------------------------------------------


async def ask(api: SigningApi, wanted: Wanted = CLIENT, seconds: float = 10.0) -> Pair:
    client: Any = api
    return await signed(client, wanted, seconds)


async def test_a_request_names_the_node_and_brings_a_pair() -> None:
    api = SigningApi(signer(CA))
    found = await ask(api, SERVING)
    assert found.names == {"n", "10.0.0.1", "fd00::1"}
    (made,) = api.requests
    assert made["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
    assert made["spec"]["usages"] == ["digital signature", "server auth"]
    assert b"PRIVATE" not in base64.b64decode(made["spec"]["request"])


async def test_each_request_has_a_key_of_its_own() -> None:
    api = SigningApi(signer(CA))
    one, two = await ask(api), await ask(api)
    assert one.pem.split(b"-----BEGIN PRIVATE")[1] != two.pem.split(b"-----BEGIN PRIVATE")[1]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"conditions": [{"type": "Denied", "status": "True", "message": "not you"}]}, "is denied: not you"),
        ({"conditions": [{"type": "Failed", "status": "True", "reason": "Odd"}]}, "is failed: Odd"),
        ({"certificate": base64.b64encode(authority()[0]).decode()}, "a certificate of no use"),
        (None, "was deleted"),
    ],
)
async def test_a_refusal_says_why(status: Object | None, said: str) -> None:
    with pytest.raises(NotSigned, match=said):
        await ask(SigningApi(lambda _: status))


async def test_a_request_nobody_decides_on_ends_with_what_to_do() -> None:
    with pytest.raises(NotSigned, match="kubectl certificate approve csr-0"):
        await ask(SigningApi(lambda _: {}), seconds=0.01)


# --- renewing -------------------------------------------------------------------------------------------------------


class Clock(FakeClock):
    """Tells when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = asyncio.Event()
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.asleep.set()
        await super().sleep(seconds)

    async def wait(self) -> None:
        """Until somebody waits."""
        async with asyncio.timeout(10):
            await self.asleep.wait()

    async def pass_by(self, seconds: float) -> None:
        """Let time go by in one step, and wait until somebody waits again."""
        self.asleep.clear()
        await self.advance(seconds)
        await self.wait()


class Renewals:
    """A rotation, its file, and a wall clock that can be set."""

    def __init__(self, path: Path, wanted: Wanted = CLIENT, lifetime: float = 600.0) -> None:
        self.path, self.wanted, self.lifetime = path, wanted, lifetime
        self.clock, self.base, self.failures = Clock(), time.time(), 0
        self.made, self.told, self.ca = 0, 0, CA
        self.bundle: bytes | None = None

    def wall(self) -> float:
        return self.clock.now() + self.base

    def fresh(self, wanted: Wanted) -> Pair:
        return new_pair(self.ca, wanted, self.lifetime, self.wall())

    async def sign(self, wanted: Wanted) -> Pair:
        if self.failures:
            self.failures -= 1
            raise ServiceUnavailable("the API server does not answer")
        self.made += 1
        return self.fresh(wanted)

    def installed(self) -> None:
        self.told += 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Renewals]:
        rotation = Rotation(
            self.path, self.wanted, self.sign, self.installed, self.clock, self.wall, share=lambda: 0.8,
            bundle=lambda: self.bundle,
        )  # fmt: skip
        task = asyncio.create_task(rotation.run())
        try:
            await self.clock.wait()
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_missing_certificate_is_asked_for_at_once(tmp_path: Path) -> None:
    async with Renewals(tmp_path / "c.pem").running() as renewals:
        assert (renewals.made, renewals.told) == (1, 1) and pair.read(renewals.path)


async def test_one_that_is_good_is_kept_until_its_time(tmp_path: Path) -> None:
    renewals = Renewals(tmp_path / "c.pem")
    pair.write(renewals.path, renewals.fresh(CLIENT).pem)
    async with renewals.running():
        # 600 s, and 300 s of grace for clocks that go slow: 80 % are over 420 s from now.
        for _ in range(9):
            await renewals.clock.pass_by(45)
        assert renewals.made == 0
        await renewals.clock.pass_by(45)
        assert renewals.made == 1


async def test_a_clock_set_forward_is_noticed_soon(tmp_path: Path) -> None:
    async with Renewals(tmp_path / "c.pem", lifetime=90 * 86400).running() as renewals:
        renewals.base += 80 * 86400
        await renewals.clock.pass_by(60)
        assert renewals.made == 2


async def test_the_shorter_the_life_the_more_often_the_clock_is_read(tmp_path: Path) -> None:
    async with Renewals(tmp_path / "c.pem", lifetime=600).running() as renewals:
        assert renewals.clock.pauses == [pytest.approx(45, abs=1)]


@pytest.mark.parametrize("other", [client_certificate("other"), serving_certificate("n", ("10.0.0.9",))])
async def test_a_certificate_for_something_else_is_replaced(tmp_path: Path, other: Wanted) -> None:
    renewals = Renewals(tmp_path / "c.pem", SERVING)
    pair.write(renewals.path, renewals.fresh(other).pem)
    async with renewals.running():
        assert renewals.made == 1


async def test_a_failure_keeps_the_old_one_and_is_tried_again_less_and_less(tmp_path: Path) -> None:
    renewals = Renewals(tmp_path / "c.pem")
    renewals.failures = 4
    async with renewals.running():
        while renewals.failures:
            await renewals.clock.pass_by(30)
        await renewals.clock.pass_by(30)
        assert renewals.made == 1
        assert 1 < renewals.clock.pauses[1] / renewals.clock.pauses[0] < 4


async def test_a_certificate_that_is_due_when_it_comes_is_not_asked_for_in_a_loop(tmp_path: Path) -> None:
    async with Renewals(tmp_path / "c.pem", lifetime=2).running() as renewals:
        assert renewals.made == 1 and renewals.clock.pauses[0] > 0
        await renewals.clock.pass_by(0.5)
        assert renewals.made == 1


async def test_a_node_whose_certificate_has_ended_says_how_it_comes_back(tmp_path: Path) -> None:
    renewals = Renewals(tmp_path / "c.pem")
    pair.write(renewals.path, new_pair(CA, CLIENT, 600, renewals.wall() - 900).pem)
    renewals.failures = 1
    with structlog.testing.capture_logs() as logs:
        async with renewals.running():
            pass
    assert "cloudctl certs revive" in logs[0]["error"] and "does not answer" in logs[0]["error"]


OLD, NEW = authority(), authority()


async def test_another_authority_that_signs_is_followed_within_a_minute(tmp_path: Path) -> None:
    renewals = Renewals(tmp_path / "c.pem", lifetime=90 * 86400)
    renewals.ca, renewals.bundle = Authority(*OLD), OLD[0]
    async with renewals.running():
        renewals.bundle = OLD[0] + NEW[0]
        await renewals.clock.pass_by(60)
        assert renewals.made == 1  # the new one is only trusted yet
        renewals.ca, renewals.bundle = Authority(*NEW), NEW[0] + OLD[0]
        await renewals.clock.pass_by(60)
        held = pair.read(renewals.path)
        assert renewals.made == 2 and held and pair.is_issued_by(held, NEW[0])


async def test_an_answer_by_the_old_authority_is_not_asked_for_in_a_loop(tmp_path: Path) -> None:
    renewals = Renewals(tmp_path / "c.pem", lifetime=90 * 86400)
    renewals.ca, renewals.bundle = Authority(*OLD), NEW[0] + OLD[0]
    async with renewals.running():
        await renewals.clock.pass_by(60)
        await renewals.clock.pass_by(60)
        assert renewals.made <= 2


# --- joining --------------------------------------------------------------------------------------------------------


def given(folder: Path, **more: Any) -> Settings:
    """The settings of a node that is to join."""
    kubeconfig.write(
        folder / "bootstrap.kubeconfig", "lab", ["https://a:1", "https://b:1"], b"CA", user="token", token="t.s"
    )
    return Settings(
        "n", folder, kubeconfig=str(folder / "kubelet.kubeconfig"),
        bootstrap_kubeconfig=str(folder / "bootstrap.kubeconfig"), **more,
    )  # fmt: skip


def test_the_nodes_kubeconfig_has_the_servers_and_the_file_that_is_renewed(tmp_path: Path) -> None:
    node = given(tmp_path)
    pair.write(node.client_pair, issue(CA, CLIENT))
    config = bootstrap.with_identity(kubeconfig.read(node.bootstrap_kubeconfig), b"CA", "n", node.client_pair)
    kubeconfig.save(node.kubeconfig, config)
    found = kubeconfig.load(node.kubeconfig)
    assert (found.servers, found.ca, found.token) == (["https://a:1", "https://b:1"], b"CA", "")
    assert found.cert == found.key == node.client_pair.read_bytes()


def joined(node: Settings, lifetime: float) -> Settings:
    """The node has joined and its token's file is gone; its certificate has ended if the lifetime is negative."""
    pair.write(node.client_pair, new_pair(CA, CLIENT, abs(lifetime), time.time() + min(0.0, 2 * lifetime)).pem)
    config = bootstrap.with_identity(kubeconfig.read(node.bootstrap_kubeconfig), b"CA", "n", node.client_pair)
    kubeconfig.save(node.kubeconfig, config)
    Path(node.bootstrap_kubeconfig).unlink()
    return node


async def test_who_has_joined_needs_no_token_any_more(tmp_path: Path) -> None:
    node = joined(given(tmp_path), 600)
    async with asyncio.timeout(5):
        await bootstrap.ensure(node)


async def test_without_certificate_and_token_the_node_begins_all_the_same(tmp_path: Path) -> None:
    node = joined(given(tmp_path), -600)
    async with asyncio.timeout(5):
        await bootstrap.ensure(node)


async def test_a_node_whose_certificate_somebody_else_renews_asks_no_longer(tmp_path: Path) -> None:
    node = joined(given(tmp_path), -600)
    nobody = ["https://127.0.0.1:1"]
    kubeconfig.write(node.bootstrap_kubeconfig, "lab", nobody, authority()[0], user="token", token="t.s")
    asking = asyncio.create_task(bootstrap.ensure(node))
    await asyncio.to_thread(pair.write, node.client_pair, new_pair(CA, CLIENT, 600, time.time()).pem)
    async with asyncio.timeout(10):
        await asking
    assert kubeconfig.load(node.kubeconfig).servers == ["https://a:1", "https://b:1"]


async def test_a_node_with_neither_kubeconfig_says_which_file_is_missing(tmp_path: Path) -> None:
    node = Settings("n", tmp_path, kubeconfig=f"{tmp_path}/k", bootstrap_kubeconfig=f"{tmp_path}/bootstrap.kubeconfig")
    with pytest.raises(kubeconfig.KubeconfigError, match=r"bootstrap\.kubeconfig"):
        await bootstrap.ensure(node)


def test_a_node_that_joins_renews_its_certificate_unless_told_not_to() -> None:
    def rotates(*flags: str) -> bool:
        return settings(parse(["--kubeconfig", "k", *flags])).rotate_certificates

    assert not rotates() and rotates("--rotate-certificates")
    assert rotates("--bootstrap-kubeconfig=b") and not rotates("--bootstrap-kubeconfig=b", "--no-rotate-certificates")
