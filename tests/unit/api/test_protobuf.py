"""Protobuf bodies give the same data as JSON bodies do."""

from __future__ import annotations

import base64

import pytest

from api import protobuf
from api.errors import BadRequest, UnsupportedMediaType
from api.types import Object


def _varint(number: int) -> bytes:
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(raw)) + raw


def _body(api_version: str, kind: str, content: bytes) -> bytes:
    return b"k8s\x00" + _field(1, _field(1, api_version) + _field(2, kind)) + _field(2, content)


def _pod(spec: bytes) -> Object:
    meta = _field(1, "web") + _field(2, "") + _field(8, b"") + _field(11, _field(1, "app") + _field(2, "web"))
    return protobuf.decode(_body("v1", "Pod", _field(1, meta) + _field(2, spec)))


def test_names_maps_and_kind_are_read_and_empty_values_left_out() -> None:
    assert _pod(b"") == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {},
    }


def test_lists_of_messages_quantities_and_ports() -> None:
    port = _field(2, 0) + _field(3, 8080) + _field(4, "TCP")
    limits = _field(1, _field(1, "cpu") + _field(2, _field(1, "500m")))
    container = _field(1, "c") + _field(3, "run") + _field(3, "") + _field(6, port) + _field(8, limits)
    assert _pod(_field(2, container))["spec"]["containers"] == [
        {
            "name": "c",
            "command": ["run", ""],
            "ports": [{"containerPort": 8080, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "500m"}},
        }
    ]


def test_fields_that_stand_inline_in_json_are_lifted_out_of_their_message() -> None:
    volume = _field(1, "v") + _field(2, _field(2, _field(1, "Memory")))
    assert _pod(_field(1, volume))["spec"]["volumes"] == [{"name": "v", "emptyDir": {"medium": "Memory"}}]


def test_zero_is_kept_where_it_differs_from_not_given() -> None:
    assert _pod(_field(4, 0) + _field(11, 0))["spec"] == {"terminationGracePeriodSeconds": 0}


def test_int_or_string_times_and_negative_numbers() -> None:
    target = _field(4, _field(1, 1) + _field(3, "http"))
    service = protobuf.decode(_body("v1", "Service", _field(2, _field(1, target))))
    assert service["spec"]["ports"] == [{"targetPort": "http"}]
    taint = _field(1, "k") + _field(4, _field(1, 1_700_000_000) + _field(2, 5))
    assert protobuf.decode(_body("v1", "Node", _field(2, _field(5, taint))))["spec"]["taints"] == [
        {"key": "k", "timeAdded": "2023-11-14T22:13:20Z"}
    ]
    score = protobuf.decode(_body("scheduling.k8s.io/v1", "PriorityClass", _field(2, -7)))
    assert score["value"] == -7


def test_bytes_are_base64() -> None:
    entry = _field(1, "key") + _field(2, b"\x00\xff")
    secret = protobuf.decode(_body("v1", "Secret", _field(2, entry)))
    assert secret["data"] == {"key": base64.b64encode(b"\x00\xff").decode()}


def test_unknown_field_numbers_are_skipped() -> None:
    assert _pod(_field(900, "future") + _field(3, "Never"))["spec"] == {"restartPolicy": "Never"}


def test_kinds_without_a_row_are_known_too() -> None:
    assert protobuf.decode(_body("v1", "DeleteOptions", _field(1, 0)))["gracePeriodSeconds"] == 0
    assert protobuf.decode(_body("policy/v1", "Eviction", _field(1, _field(1, "p"))))["metadata"] == {"name": "p"}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{}", "does not begin with k8s"),
        (_body("v1", "Pod", b"\x0a\x50x"), "cut off"),
        (_body("v1", "Pod", b"\x0b"), "wire type 3"),
        (_body("v1", "Nothing", b""), 'no kind "Nothing"'),
    ],
)
def test_what_is_no_such_message_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises((BadRequest, UnsupportedMediaType), match=said):
        protobuf.decode(raw)
