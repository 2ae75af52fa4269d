"""SPDY frames: what kubectl 1.36 really sends, round trips in pieces of any size, and input that is refused."""

from __future__ import annotations

import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet import spdy
from kubelet.spdy import Data, Frame, GoAway, Other, Ping, Reader, Reset, SpdyError, SynReply, SynStream, Writer

RECORDED = (
    "8003 0001 00000040 00000001 00000000 00 00",
    "78f9e3c6a7c202253a060606ce2248fc6482d22da30138e59514a526e6420b17d65450d0430aea2250a26635b6b4303004000000ffff",
    "00000001 01000000",
    "",
    "8003 0001 00000018 00000003 00000000 00 00 225237a8684ac4d00c000000ffff",
    "00000003 00000005 68656c6c6f",
    "00000003 01000000",
    "8003 0001 0000001a 00000005 00000000 00 00 826ac6104435cd10875b00000000ffff",
    "00000005 01000000",
    "8003 0007 00000008 00000000 00000000",
)
"""Messages of `kubectl port-forward` 1.36 while it forwards one connection to port 39801, begins another, and ends."""


def _connection(number: int, kind: str) -> dict[str, str]:
    return {"requestid": str(number), "streamtype": kind, "port": "39801"}


def test_what_kubectl_sends() -> None:
    reader = Reader()
    found = [frame for message in RECORDED for frame in reader.feed(bytes.fromhex(message))]
    assert found == [
        SynStream(1, _connection(0, "error")),
        Data(1, fin=True),
        SynStream(3, _connection(0, "data")),
        Data(3, b"hello"),
        Data(3, fin=True),
        SynStream(5, _connection(1, "error")),
        Data(5, fin=True),
        GoAway(0),
    ]


def test_the_dictionary_is_the_one_of_the_protocol() -> None:
    # kubectl's streams begin with its checksum: 78 f9, then e3c6a7c2.
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


_IDS = st.integers(1, 2**31 - 1)
_HEADERS = st.dictionaries(st.text("abc-", min_size=1, max_size=9), st.text(max_size=20), max_size=5)
_NUMBERS = st.integers(0, 2**32 - 1)
_FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(SynStream, _IDS, _HEADERS, st.booleans()),
    st.builds(SynReply, _IDS, _HEADERS, st.booleans()),
    st.builds(Data, _IDS, st.binary(max_size=100), st.booleans()),
    st.builds(Reset, _IDS, _NUMBERS),
    st.builds(Ping, _NUMBERS),
    st.builds(GoAway, _IDS, _NUMBERS),
)


@given(st.lists(_FRAMES, max_size=8), st.lists(st.integers(0, 1000), max_size=8))
def test_round_trips_in_pieces(frames: list[Frame], cuts: list[int]) -> None:
    writer, reader = Writer(), Reader()
    sent = b"".join(writer.encode(frame) for frame in frames)
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [sent[start:end] for start, end in itertools.pairwise(edges)]
    assert [frame for piece in pieces for frame in reader.feed(piece)] == frames


def _control(kind: int, payload: bytes, version: int = 3) -> bytes:
    return struct.pack(">HHI", 0x8000 | version, kind, len(payload)) + payload


def test_frames_without_meaning_are_passed_over() -> None:
    settings, window, unknown = _control(4, bytes(12)), _control(9, bytes(8)), _control(77, b"?")
    assert Reader().feed(settings + window + unknown) == [Other(4), Other(9), Other(77)]
    with pytest.raises(ValueError, match="not sent"):
        Writer().encode(Other(4))


def test_unwanted_headers_are_unpacked_too() -> None:
    writer, reader = Writer(), Reader()
    first = writer.encode(SynReply(1, {"a": "b"}))
    headers = b"\x80\x03\x00\x08" + first[4:]
    after = writer.encode(SynStream(3, {"port": "80"}))
    assert reader.feed(headers + after) == [Other(8), SynStream(3, {"port": "80"})]


def _packed(block: bytes) -> bytes:
    pack = zlib.compressobj(zdict=spdy.DICTIONARY)
    return pack.compress(block) + pack.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_control(6, bytes(4), version=2), "version 2"),
        (b"\0\0\0\1" + (spdy.MAX_FRAME + 1).to_bytes(4, "big"), "a frame of 1048577 bytes"),
        (b"GET / HTTP/1.1\r\n", "a frame of"),
        (_control(3, b"\0\0\0\1"), "ends too early"),
        (_control(1, b"\0\0\0\1"), "ends too early"),
        (_control(2, b"\0\0\0\1rubbish"), "cannot be unpacked"),
        (_control(2, b"\0\0\0\1" + _packed(bytes(spdy.MAX_HEADERS * 4))), "headers of more than"),
        (_control(2, b"\0\0\0\1" + _packed(b"\0\0\0\2\0\0\0\1a\0\0\0\1b")), "header block"),
        (_control(2, b"\0\0\0\1" + _packed(b"\xff\xff\xff\xff")), "header block"),
        (_control(2, b"\0\0\0\1" + _packed(b"\0\0\0\1\xff\xff\xff\xff")), "header block"),
        (_control(2, b"\0\0\0\1"), "header block"),
    ],
)
def test_refused(data: bytes, why: str) -> None:
    with pytest.raises(SpdyError, match=why):
        Reader().feed(data)


@given(st.binary(max_size=200))
def test_any_input_is_read_or_refused(data: bytes) -> None:
    reader = Reader()
    try:
        reader.feed(data)
    except SpdyError:
        return
