"""get and list: from the watch cache, as fresh as the caller asks.

Source of the rules: the API reference, "Resource versions" and "Retrieving large results sets in chunks".
"""

from __future__ import annotations

from api import errors
from api.types import Object, Resource
from apiserver import params, present
from apiserver.cache import Cache, Entry
from apiserver.core import Core, key_of
from apiserver.etcd import Compacted, FutureRevision, prefix_end
from apiserver.params import EXACT, ListOptions
from apiserver.request import Reply, Request

_PAGE = 500


async def get(core: Core, request: Request, resource: Resource) -> Reply:
    """One object."""
    text = request.query.get("resourceVersion", "")
    if not text:
        await core.feed.fresh()
    elif text != "0":
        await core.feed.reach(params.version(text))
    info = request.info
    entry = core.cache(resource).entries.get(key_of(resource, info.namespace, info.name))
    if entry is None:
        raise errors.not_found(resource, info.name)
    return present.one(request, resource, entry.data)


async def list_(core: Core, request: Request, resource: Resource) -> Reply:
    """All objects of a resource, of one namespace if the path has one."""
    options = params.list_options(request, resource)
    cache = core.cache(resource)
    exact = options.at if options.at > 0 else 0
    if options.version and not options.continuing and (options.match == EXACT or (not options.match and options.limit)):
        exact = options.version
    if exact:
        if exact > core.feed.revision:
            await core.feed.reach(exact)
        if cache.changed > exact:
            return await _at_revision(core, request, cache, options, exact)
        revision = exact
    else:
        revision = await _fresh_enough(core, options)
    found: list[Entry] = []
    limit = options.limit
    rest = 0
    for entry in cache.select(options.selection, options.after):
        if limit and len(found) == limit:
            rest += 1
        else:
            found.append(entry)
    selected = options.selection.labels is not None or bool(options.selection.terms) or bool(options.selection.name)
    meta = _meta(revision, found[-1].key if rest else "", rest if not selected else 0)
    return present.many(request, resource, [entry.data for entry in found], meta)


async def _fresh_enough(core: Core, options: ListOptions) -> int:
    """Wait as long as the caller's resourceVersion demands; return the revision of what is answered."""
    if options.version is None:
        await core.feed.fresh()
    elif options.version:
        await core.feed.reach(options.version)
    return core.feed.revision


def _meta(revision: int, after: str, remaining: int) -> Object:
    meta: Object = {"resourceVersion": str(revision)}
    if after:
        meta["continue"] = params.token(after, revision)
        if remaining:
            meta["remainingItemCount"] = remaining
    return meta


async def _at_revision(core: Core, request: Request, cache: Cache, options: ListOptions, revision: int) -> Reply:
    """A page as it was at an old revision, from etcd. Raises Expired with a token that goes on at the newest."""
    namespace = options.selection.namespace
    prefix = core.feed.key(cache, f"{namespace}/" if namespace else "")
    start = core.feed.key(cache, options.after) + b"\0" if options.after else prefix
    found: list[Entry] = []
    remaining, more = 0, True
    try:
        while more and (not options.limit or len(found) < options.limit):
            page = min(_PAGE, options.limit - len(found)) if options.limit else _PAGE
            pairs, more, _, count = await core.etcd.range(start, prefix_end(prefix), limit=page, revision=revision)
            remaining = count - len(pairs)
            for pair in pairs:
                key = pair.key[len(core.feed.key(cache, "")) :].decode()
                entry = cache.entry(key, pair.value, int(pair.mod_revision))
                if options.selection.matches(entry):
                    found.append(entry)
            if pairs:
                start = pairs[-1].key + b"\0"
    except Compacted as error:
        raise _expired(options) from error
    except FutureRevision as error:
        causes = [{"reason": "ResourceVersionTooLarge", "message": error.message}]
        raise errors.Timeout(error.message, {"causes": causes}) from error
    after = start[len(core.feed.key(cache, "")) : -1].decode() if more else ""
    return present.many(request, cache.resource, [entry.data for entry in found], _meta(revision, after, remaining))


class ExpiredToken(errors.Expired):
    """410 whose Status carries a token that goes on at the newest revision."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token

    def status(self) -> Object:
        return super().status() | {"metadata": {"continue": self.token}}


def _expired(options: ListOptions) -> errors.Expired:
    if not options.continuing:
        return errors.Expired("The resourceVersion for the provided list is too old.")
    return ExpiredToken(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
        "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
        "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
        "deleted between the time the first chunk was returned and now may show up in the list.",
        params.token(options.after, -1),
    )
