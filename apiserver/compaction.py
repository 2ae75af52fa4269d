"""Forgets etcd's old history, so that the store does not grow for ever.

Every server does it; the revision compacted to is one that this server saw a whole interval ago, so a list that pages
through an old revision has at least that long to finish.
"""

from __future__ import annotations

import asyncio
import logging

from api import errors
from apiserver.etcd import Compacted, Etcd
from apiserver.feed import Feed

log = logging.getLogger("apiserver.compaction")


async def run(etcd: Etcd, feed: Feed, interval: float) -> None:
    """Compact every `interval` seconds, for ever."""
    seen = feed.revision
    while True:
        await asyncio.sleep(interval)
        target, seen = seen, feed.revision
        try:
            await etcd.compact(target)
        except Compacted:
            continue  # another server was faster
        except errors.ApiError as error:
            log.warning("cannot compact etcd to revision %d: %s", target, error)
