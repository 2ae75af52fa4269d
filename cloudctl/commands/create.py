"""`create`: objects from files, or of common kinds from flags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from api import resources
from api.errors import ApiError
from api.types import Object
from cloudctl import generators, manifests, report, writes
from cloudctl.app import Verb, family
from cloudctl.commands.apply import annotated, namespace_of
from cloudctl.commands.lab import create_cluster
from cloudctl.durations import seconds
from cloudctl.faults import Fault, FileFault, sentence
from cloudctl.session import Session, execute

cli = family("Create a resource from a file or from stdin, or of a common kind from flags.")

DryRun = Annotated[str, typer.Option("--dry-run", help="none, client or server")]
Output = Annotated[str, typer.Option("--output", "-o", help="name, yaml, json, …")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
Texts = list[str] | None


@dataclass(frozen=True)
class How:
    """Flags that every form of `create` has."""

    dry_run: str = "none"
    output: str = ""
    validate: str = "strict"

    def options(self) -> writes.Options:
        """For the request."""
        return writes.options(self.dry_run, self.validate, "kubectl-create")


cli.command("cluster", cls=Verb)(create_cluster)


@cli.callback(invoke_without_command=True)
def command(
    ctx: typer.Context,
    filename: Annotated[Texts, typer.Option("--filename", "-f", help="Files, folders, or - for stdin")] = None,
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", "-R")] = False,
    save_config: Annotated[
        bool, typer.Option("--save-config/--no-save-config", help="So that apply may follow")
    ] = False,
    dry_run: DryRun = "none",
    validate: Annotated[str, typer.Option("--validate")] = "strict",
    output: Output = "",
) -> None:
    """Create a resource from a file or from stdin, or of a common kind from flags."""
    if ctx.invoked_subcommand:
        return
    if not filename:
        raise Fault("must specify one of -f and a kind such as `create deployment NAME --image=IMAGE`")
    how = How(dry_run, output, validate)
    execute(ctx, lambda session: from_files(session, filename, how, recursive=recursive, save_config=save_config))


async def from_files(session: Session, files: list[str], how: How, *, recursive: bool, save_config: bool) -> int:
    """Create every object of these files; goes on after a failure and returns 1 if there was one."""
    failed = 0
    for manifest in manifests.read(files, recursive=recursive):
        obj = annotated(manifest.obj) if save_config else manifest.obj
        try:
            await _create(session, obj, how)
        except ApiError as error:
            fault = FileFault("creating", manifest.source, error)
            session.warn(sentence(fault.error, f'error when creating "{fault.source}": '))
            failed = 1
    return failed


async def _create(session: Session, obj: Object, how: How) -> None:
    options = how.options()
    resource = await session.resolver.of(obj)
    space = namespace_of(session, resource, obj)
    made = obj
    if options.dry_run != "client":
        made = await writes.create(session, resource, obj, space, options)
    report.changed(session, resource, made, "created", output=how.output, note=options.note)


def _send(ctx: typer.Context, obj: Object, how: How) -> None:
    async def main(session: Session) -> None:
        await _create(session, obj, how)

    execute(ctx, main)


def _send_later(ctx: typer.Context, make: Callable[[Session], Awaitable[Object]], how: How) -> None:
    async def main(session: Session) -> None:
        await _create(session, await make(session), how)

    execute(ctx, main)


@cli.command("namespace", cls=Verb)
@cli.command("ns", cls=Verb, hidden=True)
def namespace(ctx: typer.Context, name: Name, dry_run: DryRun = "none", output: Output = "") -> None:
    """Create a namespace."""
    _send(ctx, generators.namespace(name), How(dry_run, output))


@cli.command("serviceaccount", cls=Verb)
@cli.command("sa", cls=Verb, hidden=True)
def service_account(ctx: typer.Context, name: Name, dry_run: DryRun = "none", output: Output = "") -> None:
    """Create a service account."""
    _send(ctx, generators.service_account(name), How(dry_run, output))


@cli.command("deployment", cls=Verb)
@cli.command("deploy", cls=Verb, hidden=True)
def deployment(
    ctx: typer.Context,
    name: Name,
    command: Annotated[Texts, typer.Argument(metavar="[-- COMMAND [args...]]")] = None,
    image: Annotated[Texts, typer.Option("--image", help="The image to run; once per container")] = None,
    replicas: Annotated[int, typer.Option("--replicas", "-r")] = 1,
    port: Annotated[int | None, typer.Option("--port")] = None,
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a deployment."""
    if not image:
        raise Fault('required flag(s) "image" not set')
    _send(ctx, generators.deployment(name, image, replicas, port, command or ()), How(dry_run, output))


@cli.command("job", cls=Verb)
def job(
    ctx: typer.Context,
    name: Name,
    command: Annotated[Texts, typer.Argument(metavar="[-- COMMAND [args...]]")] = None,
    image: Annotated[str, typer.Option("--image")] = "",
    source: Annotated[str, typer.Option("--from", help="cronjob/NAME: run its template now")] = "",
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a job."""
    if bool(image) == bool(source):
        raise Fault("either --image or --from must be specified")
    if image:
        _send(ctx, generators.job(name, image, command or ()), How(dry_run, output))
        return

    async def make(session: Session) -> Object:
        resource, cron = await session.resolver.one([source])
        if resource != resources.CRONJOBS:
            raise Fault("from must be an existing cronjob")
        return generators.job_from(name, await session.client.get(resource, cron, session.namespace))

    _send_later(ctx, make, How(dry_run, output))


@cli.command("cronjob", cls=Verb)
@cli.command("cj", cls=Verb, hidden=True)
def cron_job(
    ctx: typer.Context,
    name: Name,
    command: Annotated[Texts, typer.Argument(metavar="[-- COMMAND [args...]]")] = None,
    image: Annotated[str, typer.Option("--image")] = "",
    schedule: Annotated[str, typer.Option("--schedule")] = "",
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a cron job."""
    if not image or not schedule:
        raise Fault('required flag(s) "image" and "schedule" not set')
    _send(ctx, generators.cron_job(name, image, schedule, command or ()), How(dry_run, output))


@cli.command("configmap", cls=Verb)
@cli.command("cm", cls=Verb, hidden=True)
def configmap(
    ctx: typer.Context,
    name: Name,
    literal: Annotated[Texts, typer.Option("--from-literal", help="key=value")] = None,
    file: Annotated[Texts, typer.Option("--from-file", help="[key=]path of a file or folder")] = None,
    env_file: Annotated[Texts, typer.Option("--from-env-file", help="lines of key=value")] = None,
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a config map from files, folders or literal values."""
    data = generators.data_of(literal or (), file or (), env_file or ())
    _send(ctx, generators.configmap(name, data), How(dry_run, output))


secret = family("Create a secret.")
cli.add_typer(secret, name="secret")


@secret.command("generic", cls=Verb)
def secret_generic(
    ctx: typer.Context,
    name: Name,
    literal: Annotated[Texts, typer.Option("--from-literal", help="key=value")] = None,
    file: Annotated[Texts, typer.Option("--from-file", help="[key=]path of a file or folder")] = None,
    env_file: Annotated[Texts, typer.Option("--from-env-file", help="lines of key=value")] = None,
    kind: Annotated[str, typer.Option("--type")] = "Opaque",
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a secret from files, folders or literal values."""
    data = generators.data_of(literal or (), file or (), env_file or ())
    _send(ctx, generators.secret(name, data, kind), How(dry_run, output))


@secret.command("tls", cls=Verb)
def secret_tls(
    ctx: typer.Context,
    name: Name,
    cert: Annotated[str, typer.Option("--cert")],
    key: Annotated[str, typer.Option("--key")],
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a TLS secret from a certificate and its key."""
    data = generators.data_of((), (f"tls.crt={cert}", f"tls.key={key}"), ())
    _send(ctx, generators.secret(name, data, "kubernetes.io/tls"), How(dry_run, output))


@secret.command("docker-registry", cls=Verb)
def secret_registry(
    ctx: typer.Context,
    name: Name,
    username: Annotated[str, typer.Option("--docker-username")],
    password: Annotated[str, typer.Option("--docker-password")],
    server: Annotated[str, typer.Option("--docker-server")] = "https://index.docker.io/v1/",
    email: Annotated[str, typer.Option("--docker-email")] = "",
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a secret for use with an image registry."""
    data = {".dockerconfigjson": generators.docker_config(server, username, password, email)}
    _send(ctx, generators.secret(name, data, "kubernetes.io/dockerconfigjson"), How(dry_run, output))


service = family("Create a service.")
cli.add_typer(service, name="service")
cli.add_typer(service, name="svc", hidden=True)


@service.command("clusterip", cls=Verb)
def service_cluster_ip(
    ctx: typer.Context,
    name: Name,
    tcp: Annotated[Texts, typer.Option("--tcp", help="PORT[:TARGETPORT]")] = None,
    cluster_ip: Annotated[str, typer.Option("--clusterip", help='An address, or "None" for a headless service')] = "",
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a ClusterIP service."""
    obj = generators.service(name, "ClusterIP", tcp or (), cluster_ip=cluster_ip)
    _send(ctx, obj, How(dry_run, output))


def _typed(kind: str) -> None:
    @service.command(kind.lower(), cls=Verb, help=f"Create a {kind} service.")
    def typed(
        ctx: typer.Context,
        name: Name,
        tcp: Annotated[Texts, typer.Option("--tcp", help="PORT[:TARGETPORT]")] = None,
        dry_run: DryRun = "none",
        output: Output = "",
    ) -> None:
        _send(ctx, generators.service(name, kind, tcp or ()), How(dry_run, output))


_typed("NodePort")
_typed("LoadBalancer")


@service.command("externalname", cls=Verb)
def service_external_name(
    ctx: typer.Context,
    name: Name,
    external_name: Annotated[str, typer.Option("--external-name")],
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create an ExternalName service."""
    _send(ctx, generators.service(name, "ExternalName", (), external_name=external_name), How(dry_run, output))


async def _kinds(session: Session, words: list[str]) -> list[tuple[str, str]]:
    """(group, plural[/subresource]) of the resources named in `--resource`."""
    found = []
    for word in [part for given in words for part in given.split(",")]:
        plain, slash, subresource = word.partition("/")
        resource = await session.resolver.resource(plain)
        found.append((resource.group, resource.plural + slash + subresource))
    return found


def _role(kind: str) -> None:
    @cli.command(kind.lower(), cls=Verb, help=f"Create a {kind}.")
    def make_role(
        ctx: typer.Context,
        name: Name,
        verb: Annotated[list[str], typer.Option("--verb")],
        resource: Annotated[Texts, typer.Option("--resource")] = None,
        resource_name: Annotated[Texts, typer.Option("--resource-name")] = None,
        non_resource_url: Annotated[Texts, typer.Option("--non-resource-url")] = None,
        dry_run: DryRun = "none",
        output: Output = "",
    ) -> None:
        if not resource and not non_resource_url:
            raise Fault("at least one resource must be specified")
        verbs = [part for given in verb for part in given.split(",")]

        async def make(session: Session) -> Object:
            kinds = await _kinds(session, resource or [])
            found = generators.rules(verbs, kinds, resource_name or (), non_resource_url or ())
            return generators.role(kind, name, found)

        _send_later(ctx, make, How(dry_run, output))


_role("Role")
_role("ClusterRole")


def _binding(kind: str) -> None:
    @cli.command(kind.lower(), cls=Verb, help=f"Create a {kind}.")
    def make_binding(
        ctx: typer.Context,
        name: Name,
        cluster_role: Annotated[str, typer.Option("--clusterrole")] = "",
        role: Annotated[str, typer.Option("--role")] = "",
        user: Annotated[Texts, typer.Option("--user")] = None,
        group: Annotated[Texts, typer.Option("--group")] = None,
        account: Annotated[Texts, typer.Option("--serviceaccount", help="NAMESPACE:NAME")] = None,
        dry_run: DryRun = "none",
        output: Output = "",
    ) -> None:
        if bool(cluster_role) == bool(role):
            raise Fault("exactly one of clusterrole or role must be specified")
        to = ("Role", role) if role else ("ClusterRole", cluster_role)
        obj = generators.binding(kind, name, to, user or (), group or (), account or ())
        _send(ctx, obj, How(dry_run, output))


_binding("RoleBinding")
_binding("ClusterRoleBinding")


@cli.command("token", cls=Verb)
def token(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SERVICE_ACCOUNT")],
    audience: Annotated[Texts, typer.Option("--audience")] = None,
    duration: Annotated[str, typer.Option("--duration", help="e.g. 10m")] = "",
) -> None:
    """Request a service account token."""
    spec: Object = {"audiences": audience} if audience else {}
    if duration:
        spec["expirationSeconds"] = int(seconds(duration))
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}

    async def main(session: Session) -> None:
        path = resources.SERVICEACCOUNTS.path(session.namespace, name, "token")
        answer = await writes.post(session, path, request)
        session.say(answer["status"]["token"])

    execute(ctx, main)


@cli.command("priorityclass", cls=Verb)
def priority_class(
    ctx: typer.Context,
    name: Name,
    value: Annotated[int, typer.Option("--value")] = 0,
    description: Annotated[str, typer.Option("--description")] = "",
    global_default: Annotated[bool, typer.Option("--global-default/--no-global-default")] = False,
    dry_run: DryRun = "none",
    output: Output = "",
) -> None:
    """Create a priority class."""
    obj = {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": generators.meta(name),
        "value": value, "globalDefault": global_default, "description": description,
    }  # fmt: skip
    _send(ctx, obj, How(dry_run, output))
