"""The command tree. A verb's module is imported only when the verb is used, so that start-up stays short."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_HELP = "help"


@dataclass(frozen=True)
class Entry:
    """Where a verb is implemented and what it does, in a few words."""

    module: str
    help: str
    group: str = "Objects"


def _entries() -> dict[str, Entry]:
    table: dict[str, Entry] = {}
    for group, module, verbs in (
        ("Cluster on this machine", "cluster", {
            "up": "Start a cluster on this machine, or what is missing of it",
            "status": "Show the daemons and nodes of the cluster on this machine",
            "down": "Stop the cluster on this machine",
            "kubeconfig": "Print the path of the administrator's kubeconfig",
        }),
        ("Cluster of machines", "machine", {
            "init": "Make this machine the first control plane of a new cluster",
            "join": "Make this machine a node of a cluster",
            "reset": "Take this machine out of its cluster",
            "token": "Make tokens for machines that join",
        }),
        ("Cluster of machines", "upgrade", {"upgrade": "Change this machine to another release of Cloudlet"}),
        ("Cluster of machines", "etcd", {"etcd": "Show the store's members; save and restore the cluster"}),
        ("Cluster of machines", "certs", {"certs": "Show and renew the certificates of this machine"}),
        ("Clusters of containers", "lab", {"load": "Bring images into the machines of `create cluster`"}),
        ("Cluster of machines", "preflight", {"preflight": "Check whether this machine can become a node"}),
        ("Objects", "get", {"get": "Display one or many resources"}),
        ("Objects", "describe", {"describe": "Show details of a resource or group of resources"}),
        ("Objects", "apply", {"apply": "Apply a configuration to a resource by file name or stdin"}),
        ("Objects", "diff", {"diff": "Diff the live version against a would-be applied version"}),
        ("Objects", "create", {"create": "Create a resource from a file or from stdin"}),
        ("Objects", "run", {
            "run": "Run a particular image on the cluster",
            "expose": "Expose a resource as a new Kubernetes service",
        }),
        ("Objects", "delete", {"delete": "Delete resources by file names, stdin, resources and names, or selector"}),
        ("Objects", "edit", {"edit": "Edit a resource on the server"}),
        ("Objects", "patch", {
            "patch": "Update fields of a resource",
            "replace": "Replace a resource by file name or stdin",
        }),
        ("Objects", "metadata", {
            "label": "Update the labels on a resource",
            "annotate": "Update the annotations on a resource",
        }),
        ("Objects", "wait", {"wait": "Wait for a specific condition on one or many resources"}),
        ("Workloads", "scale", {"scale": "Set a new size for a deployment, replica set, or replication controller"}),
        ("Workloads", "rollout", {"rollout": "Manage the rollout of a resource"}),
        ("Workloads", "set", {"set": "Set specific features on objects"}),
        ("Workloads", "logs", {"logs": "Print the logs for a container in a pod"}),
        ("Workloads", "exec", {
            "exec": "Execute a command in a container",
            "attach": "Attach to a running container",
        }),
        ("Workloads", "cp", {"cp": "Copy files and directories to and from containers"}),
        ("Workloads", "portforward", {"port-forward": "Forward one or more local ports to a pod"}),
        ("Nodes", "node", {
            "cordon": "Mark node as unschedulable",
            "uncordon": "Mark node as schedulable",
            "taint": "Update the taints on one or more nodes",
        }),
        ("Nodes", "drain", {"drain": "Drain node in preparation for maintenance"}),
        ("Server", "auth", {"auth": "Inspect authorization"}),
        ("Server", "discovery", {
            "api-resources": "Print the supported API resources on the server",
            "api-versions": "Print the supported API versions on the server",
            "cluster-info": "Display cluster information",
        }),
        ("Server", "explain", {"explain": "Get documentation for a resource"}),
        ("Server", "version", {"version": "Print the client and server version information"}),
        ("Settings", "config", {"config": "Read and change kubeconfig files"}),
        ("Settings", "completion", {"completion": "Output shell completion code for bash, zsh or fish"}),
        ("Settings", "options", {"options": "Print the flags that every command takes"}),
        ("Settings", "complete", {"__complete": ""}),
    ):  # fmt: skip
        for verb, text in verbs.items():
            table[verb] = Entry(f"cloudctl.commands.{module}", text, group)
    return table


ENTRIES = _entries()


class Verb(TyperCommand):
    """A command that also takes kubectl's `--flag=true` and `--flag=false` for its switches."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite such switches before they are parsed."""
        switches: dict[str, tuple[str, str]] = {}
        for param in self.params:
            if getattr(param, "is_flag", False):
                off = param.secondary_opts[0] if param.secondary_opts else ""
                switches.update({name: (name, off) for name in param.opts})
        return super().parse_args(ctx, _plain_switches(args, switches))


def _plain_switches(args: list[str], switches: dict[str, tuple[str, str]]) -> list[str]:
    found: list[str] = []
    for position, arg in enumerate(args):
        if arg == "--":
            return [*found, *args[position:]]
        name, equals, value = arg.partition("=")
        if equals and value in ("true", "false") and name in switches:
            chosen = switches[name][0 if value == "true" else 1]
            if chosen:
                found.append(chosen)
        else:
            found.append(arg)
    return found


class Tree(TyperGroup):
    """The root: knows every verb's name and help, imports a verb's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every verb that people type."""
        return [verb for verb in ENTRIES if not verb.startswith("__")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's command, None when there is no such verb."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        cli: typer.Typer = importlib.import_module(entry.module).cli
        group: Any = typer.main.get_group(cli)
        group.name = cmd_name
        return group.commands.get(cmd_name, group)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the verbs by what they are about, without importing any."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for verb in self.list_commands(ctx):
            groups.setdefault(ENTRIES[verb].group, []).append((verb, ENTRIES[verb].help))
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def build() -> typer.Typer:
    """The whole program as one typer application."""
    root = typer.Typer(
        cls=Tree,
        rich_markup_mode=None,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @root.callback()
    def cloudctl() -> None:
        """Speak to a Kubernetes cluster in kubectl's words, and run one on this machine.

        `cloudctl options` lists the flags that every command takes.
        """

    return root


def family(text: str = "") -> typer.Typer:
    """The typer application of one module of verbs."""
    return typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help=text or None,
    )
