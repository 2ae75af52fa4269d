"""SPDY/3.1 framing, as much of it as port-forward uses. Pure: bytes in, frames out, and the other way round.

Promises:
- `Reader.feed` takes the stream in pieces of any size; header blocks of one direction are one zlib stream, so they are
  unpacked in the order in which they come, wanted or not.
- No input makes it hold more than one frame of `MAX_FRAME` bytes, or unpack more than `MAX_HEADERS` bytes of headers.
- Flow control (WINDOW_UPDATE, SETTINGS) is neither asked for nor kept: Kubernetes' clients send and heed none.

Source: SPDY Protocol, draft 3.1 (dev.chromium.org), sections 2.2 to 2.6; all numbers are big endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_FRAME = 1 << 20
MAX_HEADERS = 16 << 10
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5
"""Why a stream is reset (2.6.3)."""

_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_VERSION, _CONTROL, _FIN = 3, 0x8000, 0x01
_ID = 0x7FFFFFFF

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status|200 OK|version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """The dictionary of 2.6.10.1: words, each after its length, then text without any."""
    groups = _WORDS.split("|")
    words = [*groups[0].split(), groups[1], *groups[2].split()]
    return b"".join(struct.pack(">I", len(word)) + word.encode() for word in words) + _TAIL.encode()


DICTIONARY = _dictionary()


class SpdyError(Exception):
    """The other side does not keep to the protocol: the session cannot go on."""


@dataclass(frozen=True, slots=True)
class SynStream:
    """A stream is opened. Header names are in lower case."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    """A stream is accepted."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream ends at once, both ways."""

    stream: int
    status: int = CANCEL


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is if the number is the other side's (odd: the client's)."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No streams after `last` are dealt with."""

    last: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """Payload; `fin` says that the sender sends no more on the stream."""

    stream: int
    data: bytes = b""
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Other:
    """A control frame that means nothing here: SETTINGS, HEADERS, WINDOW_UPDATE and unknown ones."""

    kind: int


Frame = SynStream | SynReply | Reset | Ping | GoAway | Data | Other


class Reader:
    """One direction of a session, as it is received."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._unpack = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with this piece. Raises SpdyError."""
        self._pending += data
        frames = []
        while len(self._pending) >= 8:
            head, rest = struct.unpack_from(">II", self._pending)
            length = rest & 0xFFFFFF
            if length > MAX_FRAME:
                raise SpdyError(f"a frame of {length} bytes")
            if len(self._pending) < 8 + length:
                break
            payload = bytes(memoryview(self._pending)[8 : 8 + length])
            del self._pending[: 8 + length]
            frames.append(self._frame(head, rest >> 24, payload))
        return frames

    def _frame(self, head: int, flags: int, payload: bytes) -> Frame:
        fin = bool(flags & _FIN)
        if not head >> 31:
            return Data(head, payload, fin)
        version, kind = (head >> 16) & ~_CONTROL, head & 0xFFFF
        if version != _VERSION:
            raise SpdyError(f"version {version} of SPDY")
        try:
            return self._control(kind, fin, payload)
        except struct.error as error:
            raise SpdyError(f"a frame of kind {kind} that ends too early") from error

    def _control(self, kind: int, fin: bool, payload: bytes) -> Frame:
        if kind == _SYN_STREAM:
            # The stream's id, that of the stream it belongs to, priority and slot; then the headers.
            stream, _ = struct.unpack_from(">IIxx", payload)
            return SynStream(stream & _ID, self._headers(payload[10:]), fin)
        if kind in (_SYN_REPLY, _HEADERS):
            (stream,) = struct.unpack_from(">I", payload)
            headers = self._headers(payload[4:])
            return SynReply(stream & _ID, headers, fin) if kind == _SYN_REPLY else Other(kind)
        if kind == _RST_STREAM:
            stream, status = struct.unpack_from(">II", payload)
            return Reset(stream & _ID, status)
        if kind == _PING:
            return Ping(struct.unpack_from(">I", payload)[0])
        if kind == _GOAWAY:
            last, status = struct.unpack_from(">II", payload)
            return GoAway(last & _ID, status)
        return Other(kind)

    def _headers(self, packed: bytes) -> dict[str, str]:
        try:
            block = self._unpack.decompress(packed, MAX_HEADERS)
        except zlib.error as error:
            raise SpdyError(f"headers that cannot be unpacked: {error}") from error
        if self._unpack.unconsumed_tail:
            raise SpdyError(f"headers of more than {MAX_HEADERS} bytes")
        return parse_headers(block)


def parse_headers(block: bytes) -> dict[str, str]:
    """An unpacked header block (2.6.10): a count, then names and values, each after its length. Raises SpdyError."""
    position = 0

    def number() -> int:
        nonlocal position
        if position + 4 > len(block):
            raise SpdyError("a header block that ends too early")
        position += 4
        return int.from_bytes(block[position - 4 : position], "big")

    def text() -> str:
        nonlocal position
        size = number()
        if position + size > len(block):
            raise SpdyError("a header block that ends too early")
        position += size
        return block[position - size : position].decode("utf-8", "replace")

    # In order: the name is read before its value.
    return {text().lower(): text() for _ in range(number())}


class Writer:
    """One direction of a session, as it is sent: what is made first must be sent first."""

    def __init__(self) -> None:
        self._pack = zlib.compressobj(zdict=DICTIONARY)

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        block = struct.pack(">I", len(headers))
        for pair in headers.items():
            block += b"".join(struct.pack(">I", len(word)) + word for word in (text.encode() for text in pair))
        return self._pack.compress(block) + self._pack.flush(zlib.Z_SYNC_FLUSH)

    def encode(self, frame: Frame) -> bytes:
        """The frame's bytes. Raises ValueError for `Other`."""
        match frame:
            case Data(stream, data, fin):
                return struct.pack(">II", stream, _FIN * fin << 24 | len(data)) + data
            case SynStream(stream, headers, fin):
                return _control(_SYN_STREAM, struct.pack(">IIxx", stream, 0) + self._headers(headers), fin)
            case SynReply(stream, headers, fin):
                return _control(_SYN_REPLY, struct.pack(">I", stream) + self._headers(headers), fin)
            case Reset(stream, status):
                return _control(_RST_STREAM, struct.pack(">II", stream, status))
            case Ping(number):
                return _control(_PING, struct.pack(">I", number))
            case GoAway(last, status):
                return _control(_GOAWAY, struct.pack(">II", last, status))
        raise ValueError(f"{frame} is not sent")


def _control(kind: int, payload: bytes, fin: bool = False) -> bytes:
    return struct.pack(">HHI", _CONTROL | _VERSION, kind, _FIN * fin << 24 | len(payload)) + payload
