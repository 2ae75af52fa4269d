"""`config`: look at kubeconfig files and change what they point to."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any

import typer

from client import kubeconfig
from client.kubeconfig import KubeconfigError
from cloudctl import printers
from cloudctl.app import Verb, family
from cloudctl.faults import Fault
from cloudctl.session import kubeconfig_path
from cloudctl.table import render

cli = family("Read and change kubeconfig files.")

_SECRET = ("client-key-data", "token", "password")
_LONG = ("certificate-authority-data", "client-certificate-data")


def _read(ctx: typer.Context) -> tuple[Path, dict[str, Any]]:
    path = kubeconfig_path(ctx.obj)
    try:
        return path, kubeconfig.read(path)
    except KubeconfigError as error:
        raise Fault(str(error)) from error


@cli.command("view", cls=Verb)
def view(
    ctx: typer.Context,
    raw: Annotated[bool, typer.Option("--raw/--redacted", help="With keys and certificates")] = False,
    minify: Annotated[bool, typer.Option("--minify/--whole", help="Only the current context")] = False,
    output: Annotated[str, typer.Option("--output", "-o")] = "yaml",
) -> None:
    """Display kubeconfig settings; keys and certificates are left out."""
    _, config = _read(ctx)
    if minify:
        config = _minified(config, ctx.obj.context or config.get("current-context", ""))
    typer.echo(printers.printer(output)(config if raw else _redacted(config)), nl=False)


def _minified(config: dict[str, Any], context: str) -> dict[str, Any]:
    chosen = [c for c in config.get("contexts") or () if c["name"] == context]
    if not chosen:
        raise Fault(f'cannot locate context "{context}"')
    about = chosen[0]["context"]
    return {
        **config,
        "current-context": context,
        "contexts": chosen,
        "clusters": [c for c in config.get("clusters") or () if c["name"] == about.get("cluster")],
        "users": [u for u in config.get("users") or () if u["name"] == about.get("user")],
    }


def _redacted(config: dict[str, Any]) -> dict[str, Any]:
    shown = copy.deepcopy(config)
    for part, inner in (("users", "user"), ("clusters", "cluster")):
        for entry in shown.get(part) or ():
            for key in entry.get(inner) or ():
                if key in _SECRET:
                    entry[inner][key] = "REDACTED"
                elif key in _LONG:
                    entry[inner][key] = "DATA+OMITTED"
    return shown


@cli.command("current-context", cls=Verb)
def current_context(ctx: typer.Context) -> None:
    """Display the current-context."""
    _, config = _read(ctx)
    if not config.get("current-context"):
        raise Fault("current-context is not set")
    typer.echo(config["current-context"])


@cli.command("get-contexts", cls=Verb)
def get_contexts(
    ctx: typer.Context,
    output: Annotated[str, typer.Option("--output", "-o", help="name, or nothing")] = "",
    no_headers: Annotated[bool, typer.Option("--no-headers/--headers")] = False,
) -> None:
    """Describe one or many contexts."""
    _, config = _read(ctx)
    contexts = config.get("contexts") or []
    if output == "name":
        typer.echo("\n".join(entry["name"] for entry in contexts))
        return
    rows = [
        [
            "*" if entry["name"] == config.get("current-context") else "",
            entry["name"],
            entry["context"].get("cluster", ""),
            entry["context"].get("user", ""),
            entry["context"].get("namespace", ""),
        ]
        for entry in contexts
    ]
    lines = render(["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"], rows).split("\n")
    typer.echo("\n".join(lines[1:] if no_headers else lines))


@cli.command("use-context", cls=Verb)
def use_context(ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="CONTEXT")]) -> None:
    """Set the current-context in a kubeconfig file."""
    path, config = _read(ctx)
    if name not in [entry["name"] for entry in config.get("contexts") or ()]:
        raise Fault(f'no context exists with the name: "{name}"')
    kubeconfig.save(path, {**config, "current-context": name})
    typer.echo(f'Switched to context "{name}".')


@cli.command("set-context", cls=Verb)
def set_context(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[CONTEXT]")] = "",
    current: Annotated[bool, typer.Option("--current/--named", help="The current context")] = False,
) -> None:
    """Set the namespace of a context, as `config set-context --current --namespace=NAME`."""
    path, config = _read(ctx)
    wanted = config.get("current-context", "") if current else name
    for entry in config.get("contexts") or ():
        if entry["name"] == wanted:
            if ctx.obj.namespace:
                entry["context"]["namespace"] = ctx.obj.namespace
            kubeconfig.save(path, config)
            typer.echo(f'Context "{wanted}" modified.')
            return
    raise Fault(f'no context exists with the name: "{wanted}"')
