"""The file format of etcd's backend, bbolt: reading buckets, and overwriting a value by another of the same length.

Source: go.etcd.io/bbolt, `internal/common/page.go` and `meta.go`. A file is pages of one size: two meta pages (the valid one
with the higher transaction id counts), then trees of branch and leaf pages; a bucket's value in its parent is the
page of its root, or its only page itself when it is small. Numbers are little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_MAGIC = 0xED0CDAED
_META = struct.Struct("<IIIIQQQQQQ")
_PAGE = struct.Struct("<QHHI")
_BRANCH = struct.Struct("<IIQ")
_LEAF = struct.Struct("<IIII")
_BUCKET = struct.Struct("<QQ")
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 1, 2, 1
_DEEPEST = 32
"""Levels of a tree; a file that has more is damaged."""


class BoltError(Exception):
    """The file is no bbolt database, or it is damaged."""


class Item(NamedTuple):
    """A key and where its value stands in the file."""

    key: bytes
    offset: int
    length: int


class Bolt:
    """An open file. Use `opened`."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        try:
            self._size, self._root = max(self._metas())[1:]
        except ValueError as error:
            raise BoltError("no bbolt database") from error

    def items(self, bucket: bytes) -> Iterator[Item]:
        """Everything in a bucket of the top level in the order of keys; nothing when there is no such bucket."""
        try:
            for name, offset, _ in self._walk(self._root * self._size, 0):
                if name == bucket:
                    root, _ = _BUCKET.unpack_from(self._data, offset)
                    yield from self._walk(root * self._size if root else offset + _BUCKET.size, 0)
        except (struct.error, IndexError) as error:
            raise BoltError("a page lies outside of the file") from error

    def value(self, item: Item) -> bytes:
        """The value of an item."""
        return self._data[item.offset : item.offset + item.length]

    def overwrite(self, item: Item, value: bytes) -> None:
        """Put another value of the same length in its place. Nobody else may have the file open."""
        if len(value) != item.length:
            raise ValueError("another length needs another page")
        self._data[item.offset : item.offset + item.length] = value
        self._data.flush()

    def _metas(self) -> Iterator[tuple[int, int, int]]:
        """(transaction, page size, root page) of each valid meta page."""
        for start in (_PAGE.size, self._page_size() + _PAGE.size):
            raw = self._data[start : start + _META.size]
            if len(raw) < _META.size:
                continue
            magic, version, size, _, root, _, _, _, transaction, checksum = _META.unpack(raw)
            if magic == _MAGIC and version == 2 and checksum == _fnv(raw[:-8]):
                yield transaction, size, root

    def _page_size(self) -> int:
        """As the first meta page says; the kernel's when that one is damaged."""
        magic, _, size = struct.unpack_from("<III", self._data, _PAGE.size) if len(self._data) > 64 else (0, 0, 0)
        return int(size) if magic == _MAGIC else mmap.PAGESIZE

    def _walk(self, page: int, depth: int) -> Iterator[Item]:
        _, flags, count, _ = _PAGE.unpack_from(self._data, page)
        first = page + _PAGE.size
        if depth > _DEEPEST or not flags & (_IS_BRANCH | _IS_LEAF):
            raise BoltError("a page is neither branch nor leaf")
        if flags & _IS_BRANCH:
            for at in range(first, first + count * _BRANCH.size, _BRANCH.size):
                yield from self._walk(_BRANCH.unpack_from(self._data, at)[2] * self._size, depth + 1)
            return
        for at in range(first, first + count * _LEAF.size, _LEAF.size):
            _, position, key, value = _LEAF.unpack_from(self._data, at)
            start = at + position
            if start + key + value > len(self._data):
                raise BoltError("a page lies outside of the file")
            yield Item(self._data[start : start + key], start + key, value)


@contextmanager
def opened(path: Path, *, writable: bool = False) -> Iterator[Bolt]:
    """The database in a file. Raises BoltError, OSError."""
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    with path.open("r+b" if writable else "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=access)
        except ValueError as error:
            raise BoltError("the file is empty") from error
        with data:
            yield Bolt(data)


def _fnv(data: bytes) -> int:
    """FNV-1a with 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
