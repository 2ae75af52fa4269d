"""DNS messages: reading a question, writing an answer that fits. Sources: RFC 1035, RFC 2308 (NODATA), RFC 6891 (EDNS)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dnslib import (
    AAAA,
    CNAME,
    EDNS0,
    NS,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SOA,
    SRV,
    TXT,
    A,
    DNSError,
    DNSHeader,
    DNSRecord,
)

from proxy.dns_records import Answer, Data

TTL = 5
UDP_MIN, UDP_MAX = 512, 1232
_HEADER = struct.Struct("!HHHHHH")
_WRITERS = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "NS": NS, "PTR": PTR, "TXT": TXT}


class Malformed(Exception):
    """The message is no DNS query; `reply` is what to send back, empty for nothing."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__("malformed query")
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed question. `name` is lower case without the trailing dot; `limit` is the largest UDP answer, in bytes."""

    record: DNSRecord
    name: str
    kind: str
    limit: int


def read(message: bytes) -> Query:
    """Raises Malformed."""
    if len(message) < _HEADER.size:
        raise Malformed
    ident, flags, questions, *_ = _HEADER.unpack_from(message)
    if flags & 0x8000:
        raise Malformed
    if flags >> 11 & 0xF:
        raise Malformed(_bare(ident, flags, RCODE.NOTIMP))
    try:
        record = DNSRecord.parse(message)
    except (DNSError, ValueError, IndexError) as error:
        raise Malformed(_bare(ident, flags, RCODE.FORMERR)) from error
    if questions != 1:
        raise Malformed(_bare(ident, flags, RCODE.FORMERR))
    if record.q.qclass not in (1, 255):
        raise Malformed(_bare(ident, flags, RCODE.REFUSED))
    edns = next((r for r in record.ar if r.rtype == QTYPE.OPT), None)
    limit = max(UDP_MIN, min(edns.rclass, UDP_MAX)) if edns else UDP_MIN
    return Query(record, str(record.q.qname).rstrip(".").lower(), _kind(record.q.qtype), limit)


def _kind(number: int) -> str:
    return str(QTYPE.get(number, f"TYPE{number}"))


def _bare(ident: int, flags: int, rcode: int) -> bytes:
    return _HEADER.pack(ident, 0x8000 | flags & 0x7900 | rcode, 0, 0, 0, 0)


def write(query: Query, answer: Answer, domain: str, serial: int, extra: tuple[RR, ...] = ()) -> bytes:
    """The whole answer; `extra` are records found elsewhere (behind a CNAME)."""
    reply = _reply(query)
    reply.header.aa = 1
    # The answer keeps the question's own spelling, which some resolvers check.
    asked = str(query.record.q.qname)
    for name, kind, data in answer.records:
        reply.add_answer(_rr(asked if name == query.name else name, kind, data))
    for rr in extra:
        reply.add_answer(rr)
    for name, kind, data in answer.additional:
        reply.add_ar(_rr(name, kind, data))
    if not answer.records:
        reply.header.rcode = RCODE.NOERROR if answer.exists else RCODE.NXDOMAIN
        times = (serial, 7200, 1800, 86400, TTL)
        soa = SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", times)
        reply.add_auth(RR(domain, QTYPE.SOA, ttl=TTL, rdata=soa))
    return bytes(reply.pack())


def refuse(query: Query, rcode: str) -> bytes:
    """An answer without records: "SERVFAIL", "REFUSED"."""
    reply = _reply(query)
    reply.header.rcode = getattr(RCODE, rcode)
    return bytes(reply.pack())


def _reply(query: Query) -> DNSRecord:
    old = query.record.header
    header = DNSHeader(id=old.id, bitmap=old.bitmap, qr=1, ra=1, aa=0, tc=0, rcode=0)
    reply = DNSRecord(header, q=query.record.q)
    if any(r.rtype == QTYPE.OPT for r in query.record.ar):
        reply.add_ar(EDNS0(udp_len=UDP_MAX))
    return reply


def _rr(name: str, kind: str, data: Data) -> RR:
    if isinstance(data, tuple):
        return RR(name, QTYPE.SRV, ttl=TTL, rdata=SRV(0, 100, *data))
    return RR(name, getattr(QTYPE, kind), ttl=TTL, rdata=_WRITERS[kind](data))


def fit(message: bytes, limit: int) -> bytes:
    """The message, or if it is longer than `limit` its header and question marked as truncated."""
    if len(message) <= limit:
        return message
    ident, flags, *_ = _HEADER.unpack_from(message)
    return _HEADER.pack(ident, flags | 0x0200, 1, 0, 0, 0) + question_of(message)


def question_of(message: bytes) -> bytes:
    """The bytes of a message's one question: name, type and class; empty if it is cut off."""
    end = _HEADER.size
    while end < len(message) and message[end]:
        end += message[end] + 1
    end += 5
    return message[_HEADER.size : end] if end <= len(message) else b""


def renumber(message: bytes, ident: bytes) -> bytes:
    """The message with another query's two identity bytes."""
    return ident + message[2:]


def min_ttl(message: bytes) -> int:
    """The shortest time to live in an answer, in seconds; 0 if it may not be kept."""
    try:
        record = DNSRecord.parse(message)
    except (DNSError, ValueError, IndexError):
        return 0
    if record.header.tc or record.header.rcode not in (RCODE.NOERROR, RCODE.NXDOMAIN):
        return 0
    if record.rr:
        return int(min(rr.ttl for rr in record.rr))
    return int(min((min(rr.ttl, rr.rdata.times[4]) for rr in record.auth if rr.rtype == QTYPE.SOA), default=0))
