"""Files that are read again when they change: certificates, keys, CA bundles, kubeconfigs.

The kernel says when (inotify(7), one instance for all files of a `FileWatch`); the folders are watched and not the files, so an
atomic replacement and a switched symbolic link are seen. What counts is content: a file that is written anew with the same
bytes changes nothing. A loader that fails, because half of a pair has been written or a file is missing, is asked again at
the next change, and until then its owner keeps what it had.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from client.clock import Clock, RealClock, Timer

log = logging.getLogger("client.files")

SETTLE = 0.2
"""Seconds between the first sign of a change and the look: the files of a pair come one after the other."""
RECHECK = 60.0
"""Seconds between looks without a sign: a folder may have been replaced, or the kernel may have no inotify instance left."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_MASK = ctypes.c_uint32(_CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE)
Load = Callable[[], None]


@dataclass(slots=True, eq=False)
class _Group:
    """Files that belong together, and what is done with them."""

    paths: tuple[Path, ...]
    load: Load
    seen: tuple[bytes, ...]


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


class FileWatch:
    """Calls loaders when the content of their files changes, until `close`. Make it inside a running event loop."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or RealClock()
        self._groups: list[_Group] = []
        self._handle = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle < 0:
            why = os.strerror(ctypes.get_errno())
            log.warning(
                "inotify: %s (raise fs.inotify.max_user_instances): changed files are seen after %g s", why, RECHECK
            )
        else:
            asyncio.get_running_loop().add_reader(self._handle, self._signs)
        self._soon: Timer | None = None
        self._later = self._clock.call_later(RECHECK, self._recheck)

    def add(self, paths: Iterable[Path | None], load: Load) -> None:
        """Call `load` now, and again after every change of these files; those that are None are left out.

        What the first call raises is the caller's; what later ones raise is logged.
        """
        group = _Group(tuple(path for path in paths if path is not None), load, ())
        self._follow(group)
        group.seen = tuple(map(_digest, group.paths))  # before loading: a change from here on is not missed
        load()
        self._groups.append(group)

    def close(self) -> None:
        """Stop watching."""
        self._later.cancel()
        if self._soon:
            self._soon.cancel()
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1
        self._groups.clear()

    def _follow(self, group: _Group) -> None:
        """Watch the folders that the files and the targets of their links stand in; one that is watched already stays so."""
        if self._handle < 0:
            return
        for folder in {place for path in group.paths for place in (path.parent, path.resolve().parent)}:
            if _LIBC.inotify_add_watch(self._handle, os.fsencode(folder), _MASK) < 0:
                log.warning("cannot watch %s: %s", folder, os.strerror(ctypes.get_errno()))

    def _signs(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._handle, 65536)
        if self._soon is None:
            self._soon = self._clock.call_later(SETTLE, self._look)

    def _recheck(self) -> None:
        self._later = self._clock.call_later(RECHECK, self._recheck)
        self._look()

    def _look(self) -> None:
        self._soon = None
        for group in self._groups:
            self._follow(group)
            seen = tuple(map(_digest, group.paths))
            if seen == group.seen:
                continue
            group.seen = seen
            names = ", ".join(map(str, group.paths))
            try:
                group.load()
            except Exception as error:
                # The outermost loop of loaders: whatever is wrong with a file, its owner keeps what it had.
                log.warning("%s changed and cannot be used yet, what was loaded before stays: %s", names, error)
            else:
                log.info("%s changed and has been loaded", names)


def read_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """The PEM of a certificate (chain) and of its private key; both may stand in one file.

    Raises ValueError if they do not belong together or cannot be read as PEM, OSError if they cannot be read at all.
    """
    chain, private = certificate.read_bytes(), key.read_bytes()
    try:
        public = x509.load_pem_x509_certificate(chain).public_key()
        ours = serialization.load_pem_private_key(private, None).public_key()
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{certificate}, {key}: {error}") from error
    if public != ours:
        raise ValueError(f"{certificate} and {key} do not belong together")
    return chain, private
