"""The flags that every command takes, wherever they stand on the command line, as kubectl takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloudctl.faults import Fault


@dataclass(frozen=True)
class Globals:
    """Which cluster, namespace and user. Empty strings stand for the kubeconfig's own choice."""

    namespace: str = ""
    kubeconfig: str = ""
    context: str = ""
    server: str = ""
    token: str = ""
    user: str = ""
    impersonate: str = ""
    request_timeout: str = ""
    verbose: str = ""


FLAGS = {
    "--namespace": ("namespace", "The namespace to work in"),
    "-n": ("namespace", ""),
    "--kubeconfig": (
        "kubeconfig",
        "Path of the kubeconfig; else $KUBECONFIG, the cluster of this machine, ~/.kube/config",
    ),
    "--context": ("context", "The context of the kubeconfig to use"),
    "--server": ("server", "The address of the API server"),
    "-s": ("server", ""),
    "--token": ("token", "Bearer token for the API server"),
    "--user": ("user", "The user of the kubeconfig to use"),
    "--as": ("impersonate", "Act as this user"),
    "--request-timeout": ("request_timeout", "How long to wait for one answer of the server, e.g. 30s"),
    "-v": ("verbose", ""),
}
# For these verbs the flag means something else.
_OTHER_MEANING: dict[str, frozenset[str]] = {
    "logs": frozenset({"-s"}),
    "up": frozenset({"-s", "-n"}),
    "join": frozenset({"--token"}),
    "certs": frozenset({"--token"}),
    "preflight": frozenset({"--server", "-s"}),
}


def take(args: list[str]) -> tuple[Globals, list[str]]:
    """The global flags and what is left of the command line. Raises Fault for a flag without its value."""
    found = Globals()
    rest: list[str] = []
    verb = next((arg for arg in args if not arg.startswith("-")), "")
    other = _OTHER_MEANING.get(verb, frozenset())
    waiting = iter(args)
    for arg in waiting:
        if arg == "--":
            return found, [*rest, arg, *waiting]
        name, equals, value = arg.partition("=")
        if not arg.startswith("--") and len(arg) > 2 and arg[:2] in ("-n", "-v") and not equals:
            name, value, equals = arg[:2], arg[2:], "="
        if name not in FLAGS or name in other:
            rest.append(arg)
            continue
        if not equals:
            value = next(waiting, "")
            if not value:
                raise Fault(f"flag needs an argument: {name}")
        found = replace(found, **{FLAGS[name][0]: value})
    return found, rest
