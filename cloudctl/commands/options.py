"""`options`: the flags that every command takes."""

from __future__ import annotations

import typer

from cloudctl.app import Verb, family
from cloudctl.globals import FLAGS
from cloudctl.table import render

cli = family()


@cli.command("options", cls=Verb)
def command() -> None:
    """Print the flags that every command takes."""
    short = {name: flag for flag, (name, text) in FLAGS.items() if not text}
    rows = [
        [f"    {short[name] + ', ' if name in short else '    '}{flag}=…", text]
        for flag, (name, text) in FLAGS.items()
        if text
    ]
    typer.echo("The following options can be passed to any command:\n\n" + render([], rows))
