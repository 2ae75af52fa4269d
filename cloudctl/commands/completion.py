"""`completion`: scripts that make a shell ask `cloudctl __complete`."""

from __future__ import annotations

from typing import Annotated

import typer

from cloudctl.app import Verb, family
from cloudctl.faults import Fault

cli = family()

_BASH = """\
_cloudctl() {
    local IFS=$'\\n'
    COMPREPLY=($(cloudctl __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _cloudctl cloudctl
"""
_ZSH = """\
#compdef cloudctl
_cloudctl() {
    local -a found
    found=("${(@f)$(cloudctl __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    compadd -a found
}
compdef _cloudctl cloudctl
"""
_FISH = """\
function __cloudctl_complete
    set -l words (commandline -opc) (commandline -ct)
    cloudctl __complete -- $words[2..-1] 2>/dev/null
end
complete -c cloudctl -f -a '(__cloudctl_complete)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@cli.command("completion", cls=Verb)
def command(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """Output shell completion code; for bash: `source <(cloudctl completion bash)`."""
    if shell not in _SCRIPTS:
        raise Fault(f'unsupported shell type "{shell}"; bash, zsh and fish are')
    typer.echo(_SCRIPTS[shell], nl=False)
