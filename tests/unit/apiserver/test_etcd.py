"""The connection to etcd: the certificate it shows, and how creates are fenced."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

from apiserver.etcd import FENCE, Doubt, Etcd, Written
from tests.api.pki import Authority


class FakeKv(stubs.KVServicer):  # type: ignore[misc]
    """One fence and no other key; knows who has asked. `silent` keeps an answer back though the write is carried out."""

    def __init__(self) -> None:
        self.callers: list[str] = []
        self.fence = 0
        self.revision = 5
        self.silent = False

    async def Range(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        names = context.auth_context().get("x509_common_name", [b""])
        self.callers.append(names[0].decode())
        return rpc.RangeResponse(header=rpc.ResponseHeader(revision=self.revision))

    async def Put(self, request: Any, context: Any) -> Any:  # noqa: N802
        assert request.key == FENCE
        self.revision += 1
        self.fence = self.revision
        return rpc.PutResponse(header=rpc.ResponseHeader(revision=self.revision))

    async def Txn(self, request: Any, context: Any) -> Any:  # noqa: N802
        wanted = {each.key: each.mod_revision for each in request.compare}
        header = rpc.ResponseHeader(revision=self.revision)
        if wanted.get(FENCE, self.fence) == self.fence:
            self.revision += 1
            if self.silent:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "etcdserver: request timed out")
            return rpc.TxnResponse(succeeded=True, header=rpc.ResponseHeader(revision=self.revision))
        fence = rpc.RangeResponse(kvs=[{"key": FENCE, "mod_revision": self.fence}])
        answers = [rpc.ResponseOp(response_range=each) for each in (rpc.RangeResponse(), fence)]
        return rpc.TxnResponse(succeeded=False, header=header, responses=answers)


@pytest.fixture
def kv() -> FakeKv:
    return FakeKv()


@pytest.fixture
async def etcd(kv: FakeKv) -> AsyncIterator[Etcd]:
    server = grpc.aio.server()
    stubs.add_KVServicer_to_server(kv, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = Etcd(f"http://127.0.0.1:{port}")
    yield client
    await client.close()
    await server.stop(None)


async def test_a_renewed_certificate_is_shown_by_every_later_call(kv: FakeKv, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ca, pairs = authority.ca.read_bytes(), {}
    for name in ("server", "old", "young"):
        certificate, key = authority.issue(name, name, hosts=("127.0.0.1",) if name == "server" else ())
        pairs[name] = (certificate.read_bytes(), key.read_bytes())
    server = grpc.aio.server()
    stubs.add_KVServicer_to_server(kv, server)
    ours = [(pairs["server"][1], pairs["server"][0])]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(ours, ca, require_client_auth=True))
    await server.start()
    client = Etcd(f"https://127.0.0.1:{port}")
    for name in ("old", "young"):
        client.renew(ca, *pairs[name])
        assert await client.revision() == 5
    assert kv.callers == ["old", "young"]
    await client.close()
    await server.stop(None)


async def test_a_create_finds_out_by_itself_that_the_fence_has_been_moved(kv: FakeKv, etcd: Etcd) -> None:
    kv.fence = kv.revision = 9
    assert await etcd.put(b"k", b"v", 0) == Written(True, 10)
    assert await etcd.put(b"k2", b"v", 0) == Written(True, 11)


async def test_the_fence_is_moved_once_for_all_creates_that_were_sent_behind_it(kv: FakeKv, etcd: Etcd) -> None:
    kv.silent = True
    doubts = []
    for key in (b"a", b"b"):
        with pytest.raises(Doubt) as doubt:
            await etcd.put(key, b"v", 0)
        doubts.append(doubt.value)
    kv.silent = False
    moved = [await etcd.fence(doubt.fence) for doubt in doubts]
    assert moved[0] == moved[1] == kv.fence > doubts[0].fence
    assert (await etcd.put(b"a", b"v", 0)).ok


async def test_a_doubt_tells_since_when_the_write_may_have_taken_place(kv: FakeKv, etcd: Etcd) -> None:
    kv.revision = 41
    await etcd.revision()
    kv.silent = True
    with pytest.raises(Doubt) as doubt:
        await etcd.put(b"a", b"v", 40)
    assert doubt.value.since == 41
