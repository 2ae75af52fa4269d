"""`logs`: what containers wrote, once or as they write it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from api import resources
from api.errors import ApiError
from api.types import Object
from cloudctl import lists, podchoice
from cloudctl.app import Verb, family
from cloudctl.durations import seconds
from cloudctl.faults import Fault, sentence
from cloudctl.session import Session, execute
from cloudctl.streams import stdout

cli = family()

_SILENCE_SECONDS = 7 * 86400.0
_SELECTED_TAIL = 10


@dataclass
class Request:
    """What the flags of `logs` ask for."""

    word: str = ""
    container: str = ""
    selector: str = ""
    follow: bool = False
    previous: bool = False
    all_containers: bool = False
    all_pods: bool = False
    prefix: bool = False
    ignore_errors: bool = False
    most_streams: int = 5
    params: dict[str, Any] = field(default_factory=dict)


@cli.command("logs", cls=Verb)
def command(
    ctx: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="POD | TYPE/NAME [CONTAINER]")] = None,
    name: Annotated[str, typer.Option("--container", "-c")] = "",
    selector: Annotated[str, typer.Option("--selector", "-l", help="Logs of all pods with these labels")] = "",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Go on as more is written")] = False,
    previous: Annotated[
        bool, typer.Option("--previous/--current", "-p", help="Of the container before its restart")
    ] = False,
    tail: Annotated[int, typer.Option("--tail", help="The last lines; -1 for all")] = -1,
    since: Annotated[str, typer.Option("--since", help="Not older than, e.g. 5m")] = "",
    since_time: Annotated[str, typer.Option("--since-time", help="After this RFC 3339 time")] = "",
    timestamps: Annotated[bool, typer.Option("--timestamps/--no-timestamps")] = False,
    limit_bytes: Annotated[int, typer.Option("--limit-bytes")] = 0,
    all_containers: Annotated[bool, typer.Option("--all-containers/--one-container")] = False,
    all_pods: Annotated[bool, typer.Option("--all-pods/--one-pod", help="Of all pods of a workload")] = False,
    prefix: Annotated[bool, typer.Option("--prefix/--no-prefix", help="Each line with its pod and container")] = False,
    ignore_errors: Annotated[bool, typer.Option("--ignore-errors/--stop-on-errors")] = False,
    most_streams: Annotated[int, typer.Option("--max-log-requests", help="How many to follow at once")] = 5,
) -> None:
    """Print the logs for a container in a pod or specified resource."""
    given = words or []
    if bool(given) == bool(selector) or len(given) > 2:
        raise Fault("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]', or -l SELECTOR")
    if since and since_time:
        raise Fault("at most one of --since-time and --since may be used")
    lines = _SELECTED_TAIL if selector and tail == -1 else tail
    params = {
        "follow": "true" if follow else "",
        "previous": "true" if previous else "",
        "tailLines": lines if lines >= 0 else "",
        "sinceSeconds": max(1, int(seconds(since))) if since else "",
        "sinceTime": since_time,
        "timestamps": "true" if timestamps else "",
        "limitBytes": limit_bytes or "",
    }
    request = Request(
        given[0] if given else "", given[1] if len(given) > 1 else name, selector, follow, previous, all_containers,
        all_pods, prefix, ignore_errors, most_streams, params,
    )  # fmt: skip
    execute(ctx, lambda session: logs(session, request))


async def logs(session: Session, request: Request) -> int:
    """Print them; returns the exit code."""
    sources = await _sources(session, request)
    if not sources:
        session.warn(f"No resources found in {session.namespace} namespace.")
        return 0
    if request.follow and len(sources) > request.most_streams:
        raise Fault(
            f"you are attempting to follow {len(sources)} log streams, but maximum allowed concurrency is "
            f"{request.most_streams}, use --max-log-requests to increase the limit"
        )
    if request.follow and len(sources) > 1:
        results = await asyncio.gather(*(_copy(session, request, *source) for source in sources))
    else:
        results = [await _copy(session, request, *source) for source in sources]
    return max(results)


async def _sources(session: Session, request: Request) -> list[tuple[Object, str]]:
    """(pod, container) of every log to print."""
    if request.selector:
        query = lists.Query(request.selector)
        pods = (await lists.whole(session.client, resources.PODS, session.namespace, query))["items"]
    elif request.all_pods and "/" in request.word:
        resource, name = await session.resolver.one([request.word])
        pods = await podchoice.behind(session, resource, await session.client.get(resource, name, session.namespace))
    else:
        pods = [await podchoice.choose(session, request.word)]
    if request.all_containers:
        return [(pod, name) for pod in pods for name in podchoice.containers(pod)]
    return [(pod, podchoice.container(session, pod, request.container)) for pod in pods]


async def _copy(session: Session, request: Request, pod: Object, container: str) -> int:
    meta = pod["metadata"]
    path = resources.PODS.path(meta["namespace"], meta["name"], "log")
    params = {**request.params, "container": container}
    prefix = f"[pod/{meta['name']}/{container}] ".encode() if request.prefix else b""
    rest = b""
    try:
        async for piece in session.client.stream(path, params=params, silence=_SILENCE_SECONDS):
            if not prefix:
                stdout(piece)
                continue
            *lines, rest = (rest + piece).split(b"\n")
            stdout(b"".join(prefix + line + b"\n" for line in lines))
    except ApiError as error:
        if not request.ignore_errors:
            raise
        session.warn(sentence(error))
        return 1
    if rest:
        stdout(prefix + rest)
    return 0
