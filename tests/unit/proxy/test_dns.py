"""Cluster DNS: what the zone says, and how it is said over UDP and TCP."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSRecord

from client.clock import FakeClock
from proxy.dns import DnsServer, Resolver
from proxy.dns_forward import Forwarder, upstreams
from proxy.dns_records import Zone
from tests.unit.proxy.objects import endpoint, service, slice_of

DOMAIN = "cluster.local"
WEB = f"web.default.svc.{DOMAIN}"
HEADLESS = f"db.default.svc.{DOMAIN}"


@pytest.fixture
def zone() -> Zone:
    zone = Zone(DOMAIN, "10.96.0.10", "10.244.0.0/16")
    zone.replace(service(), [])
    zone.replace(
        service("db", ip="None", ports=[{"name": "redis", "port": 6379}]),
        [
            slice_of(
                endpoint("10.244.0.5", hostname="db-0"),
                endpoint("10.244.1.6"),
                endpoint("10.244.1.7", ready=False),
                name="db",
                port=6379,
                port_name="redis",
            )
        ],
    )
    zone.replace(service("ext", type="ExternalName", ip="", externalName="Example.ORG."), [])
    zone.replace(service("inner", type="ExternalName", ip="", externalName=WEB), [])
    zone.replace(service("loop", type="ExternalName", ip="", externalName=f"loop.default.svc.{DOMAIN}"), [])
    return zone


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        (WEB, "A", ["10.96.0.20"]),
        (f"_http._tcp.{WEB}", "SRV", [(80, WEB)]),
        ("20.0.96.10.in-addr.arpa", "PTR", [WEB]),
        (HEADLESS, "A", ["10.244.0.5", "10.244.1.6"]),
        (f"db-0.{HEADLESS}", "A", ["10.244.0.5"]),
        (f"10-244-1-6.{HEADLESS}", "A", ["10.244.1.6"]),
        (f"_redis._tcp.{HEADLESS}", "SRV", [(6379, f"db-0.{HEADLESS}"), (6379, f"10-244-1-6.{HEADLESS}")]),
        ("5.0.244.10.in-addr.arpa", "PTR", [f"db-0.{HEADLESS}"]),
        (f"10-244-3-4.any.pod.{DOMAIN}", "A", ["10.244.3.4"]),
        (f"inner.default.svc.{DOMAIN}", "A", [WEB, "10.96.0.20"]),
        (f"ext.default.svc.{DOMAIN}", "CNAME", ["example.org"]),
        (f"dns-version.{DOMAIN}", "TXT", ["1.1.0"]),
    ],
)
def test_records(zone: Zone, name: str, kind: str, expected: list[object]) -> None:
    assert [data for _, _, data in zone.answer(name, kind).records] == expected


@pytest.mark.parametrize(
    ("name", "kind", "exists"),
    [
        (WEB, "AAAA", True),
        (f"default.svc.{DOMAIN}", "A", True),
        (f"svc.{DOMAIN}", "A", True),
        (f"nothing.default.svc.{DOMAIN}", "A", False),
        (f"web.other.svc.{DOMAIN}", "A", False),
        (f"not-an-address.x.pod.{DOMAIN}", "A", False),
        (f"1-2-3.x.pod.{DOMAIN}", "A", False),
        (f"10-244-1-7.{HEADLESS}", "A", False),
        ("1.2.244.10.in-addr.arpa", "PTR", False),
    ],
)
def test_no_data_and_no_such_name_differ(zone: Zone, name: str, kind: str, exists: bool) -> None:
    answer = zone.answer(name, kind)
    assert (answer.exists, answer.records) == (exists, ())


def test_a_cname_that_leads_to_itself_ends(zone: Zone) -> None:
    assert len(zone.answer(f"loop.default.svc.{DOMAIN}", "A").records) < 20


def test_a_deleted_service_leaves_no_name_behind(zone: Zone) -> None:
    before = zone.generation
    for name in ("web", "db", "ext", "inner", "loop"):
        zone.remove(f"default/{name}")
    assert not zone.answer(f"default.svc.{DOMAIN}", "A").exists
    assert not zone.covers("20.0.96.10.in-addr.arpa")
    assert zone.generation > before


def test_two_services_may_have_the_same_endpoint(zone: Zone) -> None:
    zone.replace(service("db2", ip="None"), [slice_of(endpoint("10.244.0.5", hostname="db-0"), name="db2")])
    names = {data for _, _, data in zone.answer("5.0.244.10.in-addr.arpa", "PTR").records}
    assert names == {f"db-0.{HEADLESS}", f"db-0.db2.default.svc.{DOMAIN}"}


def test_foreign_reverse_names_are_not_ours(zone: Zone) -> None:
    assert not zone.covers("1.113.0.203.in-addr.arpa")
    assert not zone.covers("example.org")
    assert not zone.covers("notcluster.local")


def test_upstreams_leave_ourselves_out(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# x\nsearch a b\nnameserver 10.96.0.10\nnameserver 192.0.2.53\noptions ndots:5\n")
    assert upstreams(conf, "10.96.0.10") == [("192.0.2.53", 53)]
    assert upstreams(tmp_path / "none", "") == []


class Upstream(asyncio.DatagramProtocol):
    """A nameserver that counts what it is asked."""

    def __init__(self, answers: Callable[[DNSRecord], DNSRecord | None]) -> None:
        self.asked: list[str] = []
        self._answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        record = DNSRecord.parse(data)
        self.asked.append(str(record.q.qname))
        if reply := self._answers(record):
            self.transport.sendto(bytes(reply.pack()), addr)


def one_address(record: DNSRecord) -> DNSRecord:
    reply = record.reply()
    reply.add_answer(RR(record.q.qname, QTYPE.A, ttl=60, rdata=A("203.0.113.80")))
    return reply


class Rig:
    """The server on loopback with an upstream behind it."""

    def __init__(self, zone: Zone, clock: FakeClock) -> None:
        self.zone, self.clock = zone, clock
        self.forwarder = Forwarder(clock, "127.0.0.1")
        self.server = DnsServer(Resolver(zone, self.forwarder), "127.0.0.1", 0)
        self.upstream = Upstream(one_address)

    async def udp_raw(self, message: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[bytes] = loop.create_future()

        class Client(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                reply.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", self.server.port))
        try:
            transport.sendto(message)
            return await asyncio.wait_for(reply, 10)
        finally:
            transport.close()

    async def udp(self, name: str, kind: str = "A", edns: int = 0) -> DNSRecord:
        return DNSRecord.parse(await self.udp_raw(_question(name, kind, edns)))

    async def tcp(self, *names: str) -> list[DNSRecord]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        replies = []
        for name in names:
            message = _question(name, "A")
            writer.write(struct.pack("!H", len(message)) + message)
            (length,) = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), 10))
            replies.append(DNSRecord.parse(await reader.readexactly(length)))
        writer.close()
        await writer.wait_closed()
        return replies


def _question(name: str, kind: str, edns: int = 0) -> bytes:
    record = DNSRecord.question(name, kind)
    if edns:
        record.add_ar(EDNS0(udp_len=edns))
    return bytes(record.pack())


@pytest.fixture
async def rig(zone: Zone) -> AsyncIterator[Rig]:
    rig = Rig(zone, FakeClock())
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: rig.upstream, local_addr=("127.0.0.1", 0))
    rig.forwarder.use([transport.get_extra_info("sockname")])
    async with rig.server:
        yield rig
    transport.close()


async def test_udp_and_tcp_say_the_same(rig: Rig) -> None:
    over_udp = await rig.udp(WEB)
    (over_tcp, again) = await rig.tcp(WEB, HEADLESS)
    assert str(over_udp.rr[0].rdata) == str(over_tcp.rr[0].rdata) == "10.96.0.20"
    assert over_udp.header.aa == 1
    assert over_udp.rr[0].ttl == 5
    assert {str(rr.rdata) for rr in again.rr} == {"10.244.0.5", "10.244.1.6"}


async def test_negative_answers_carry_the_soa(rig: Rig) -> None:
    missing, empty = await rig.udp(f"nothing.default.svc.{DOMAIN}"), await rig.udp(WEB, "AAAA")
    assert (missing.header.rcode, empty.header.rcode) == (RCODE.NXDOMAIN, RCODE.NOERROR)
    assert missing.auth[0].rtype == empty.auth[0].rtype == QTYPE.SOA


async def test_a_kept_answer_goes_when_the_zone_changes_and_keeps_the_spelling(rig: Rig) -> None:
    for _ in range(3):
        reply = await rig.udp("WeB.default.svc.cluster.local")
        assert str(reply.rr[0].rname) == "WeB.default.svc.cluster.local."
    rig.zone.replace(service(ip="10.96.0.99"), [])
    assert str((await rig.udp("WeB.default.svc.cluster.local")).rr[0].rdata) == "10.96.0.99"


async def test_addresses_of_a_headless_service_take_turns(rig: Rig) -> None:
    firsts = {str((await rig.udp(HEADLESS)).rr[0].rdata) for _ in range(60)}
    assert firsts == {"10.244.0.5", "10.244.1.6"}


async def test_srv_brings_the_addresses_along(rig: Rig) -> None:
    reply = await rig.udp(f"_http._tcp.{WEB}", "SRV")
    assert (reply.rr[0].rdata.port, str(reply.rr[0].rdata.target)) == (80, f"{WEB}.")
    assert [str(rr.rdata) for rr in reply.ar] == ["10.96.0.20"]


async def test_long_answers_are_cut_over_udp_and_whole_over_tcp(rig: Rig) -> None:
    many = [endpoint(f"10.244.2.{i}") for i in range(1, 61)]
    rig.zone.replace(service("many", ip="None"), [slice_of(*many, name="many")])
    name = f"many.default.svc.{DOMAIN}"
    short = await rig.udp(name)
    assert (short.header.tc, len(short.rr)) == (1, 0)
    assert str(short.q.qname) == f"{name}."
    assert len((await rig.udp(name, edns=4096)).rr) == 60
    (whole,) = await rig.tcp(name)
    assert (whole.header.tc, len(whole.rr)) == (0, 60)


async def test_other_names_are_asked_upstream_once_and_kept(rig: Rig) -> None:
    replies = await asyncio.gather(*(rig.udp("www.example.org") for _ in range(8)))
    assert {str(r.rr[0].rdata) for r in replies} == {"203.0.113.80"}
    assert rig.upstream.asked == ["www.example.org."]
    await rig.clock.advance(31)
    await rig.udp("www.example.org")
    assert len(rig.upstream.asked) == 2


async def test_names_of_the_cluster_are_never_asked_upstream(rig: Rig) -> None:
    for name in (f"nothing.{DOMAIN}", f"a.b.c.{DOMAIN}", "9.9.244.10.in-addr.arpa"):
        assert (await rig.udp(name)).header.rcode == RCODE.NXDOMAIN
    assert rig.upstream.asked == []


async def test_an_external_name_is_followed(rig: Rig) -> None:
    reply = await rig.udp(f"ext.default.svc.{DOMAIN}")
    assert [str(rr.rdata) for rr in reply.rr] == ["example.org.", "203.0.113.80"]


async def test_no_upstream_is_a_server_failure(rig: Rig) -> None:
    rig.forwarder.use([])
    assert (await rig.udp("www.example.org")).header.rcode == RCODE.SERVFAIL


async def test_an_answer_to_another_question_is_not_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.dns_forward.DEADLINE", 0.3)
    monkeypatch.setattr("proxy.dns_forward.TRY_SECONDS", 0.1)

    def forged(record: DNSRecord) -> DNSRecord:
        reply = one_address(record)
        reply.q.qname = "evil.example.org"
        return reply

    rig.upstream._answers = forged
    assert (await rig.udp("www.example.org")).header.rcode == RCODE.SERVFAIL


@pytest.mark.parametrize(
    ("message", "rcode"),
    [
        (struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x3fbroken", RCODE.FORMERR),
        (struct.pack("!HHHHHH", 7, 0x2800, 0, 0, 0, 0), RCODE.NOTIMP),
        (struct.pack("!HHHHHH", 7, 0x0100, 0, 0, 0, 0), RCODE.FORMERR),
    ],
)
async def test_broken_queries_are_told_so(rig: Rig, message: bytes, rcode: int) -> None:
    reply = DNSRecord.parse(await rig.udp_raw(message))
    assert (reply.header.id, reply.header.rcode) == (7, rcode)


async def test_noise_does_not_stop_the_server(rig: Rig) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", rig.server.port)
    )
    for noise in (b"", b"x", b"\xff" * 40, struct.pack("!HHHHHH", 1, 0x8180, 1, 1, 0, 0), b"\0" * 600):
        transport.sendto(noise)
    transport.close()
    assert (await rig.udp(WEB)).rr
