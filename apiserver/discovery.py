"""/api, /apis and below: which resources there are, plain and aggregated (`apidiscovery.k8s.io/v2`)."""

from __future__ import annotations

from collections.abc import Iterable

from api import errors, resources
from api.types import Object, Resource
from apiserver.request import JSON, Reply, Request

_PRIORITY = (
    "", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
    "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
)  # fmt: skip
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_KINDS = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction"),
          "token": ("authentication.k8s.io", "v1", "TokenRequest"), "binding": ("", "v1", "Binding"),
          "exec": ("", "v1", "PodExecOptions"), "attach": ("", "v1", "PodAttachOptions"),
          "portforward": ("", "v1", "PodPortForwardOptions")}  # fmt: skip
_VERBS = {"status": ("get", "patch", "update"), "scale": ("get", "patch", "update"), "log": ("get",),
          "exec": ("create", "get"), "attach": ("create", "get"), "portforward": ("create", "get"),
          "proxy": ("create", "delete", "get", "patch", "update"), "binding": ("create",), "eviction": ("create",),
          "token": ("create",), "finalize": ("update",)}  # fmt: skip
_EVERY = ("get", "patch", "update")


def groups(rows: Iterable[Resource]) -> dict[str, dict[str, list[Resource]]]:
    """Group → version → resources; preferred groups and newest versions first."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for row in rows:
        found.setdefault(row.group, {}).setdefault(row.version, []).append(row)
    order = {group: index for index, group in enumerate(_PRIORITY)}
    ordered = sorted(found, key=lambda group: (order.get(group, len(order)), group))
    return {group: dict(sorted(found[group].items(), reverse=True)) for group in ordered}


def _sub_kind(row: Resource, name: str) -> tuple[str, str, str]:
    if row.plural in ("pods", "services", "nodes") and name == "proxy":
        return "", "v1", f"{row.kind}ProxyOptions"
    return _KINDS.get(name, (row.group, row.version, row.kind))


def resource_list(group: str, version: str, rows: Iterable[Resource]) -> Object:
    """An APIResourceList."""
    shown: list[Object] = []
    for row in sorted(rows, key=lambda row: row.plural):
        entry: Object = {
            "name": row.plural,
            "singularName": row.singular,
            "namespaced": row.namespaced,
            "kind": row.kind,
            "verbs": sorted(row.verbs),
        }
        if row.short_names:
            entry["shortNames"] = list(row.short_names)
        if row.categories:
            entry["categories"] = list(row.categories)
        shown.append(entry)
        for name in sorted(row.subresources):
            sub_group, sub_version, kind = _sub_kind(row, name)
            part: Object = {
                "name": f"{row.plural}/{name}",
                "singularName": "",
                "namespaced": row.namespaced,
                "kind": kind,
                "verbs": list(_VERBS.get(name, _EVERY)),
            }
            if (sub_group, sub_version) != (group, version):
                part |= {"group": sub_group, "version": sub_version}
            shown.append(part)
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": shown}


def _group(name: str, versions: Iterable[str]) -> Object:
    shown = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": shown, "preferredVersion": shown[0]}


def _aggregated_resource(row: Resource) -> Object:
    entry: Object = {
        "resource": row.plural,
        "responseKind": {"group": row.group, "version": row.version, "kind": row.kind},
        "scope": "Namespaced" if row.namespaced else "Cluster",
        "singularResource": row.singular,
        "verbs": sorted(row.verbs),
    }
    if row.short_names:
        entry["shortNames"] = list(row.short_names)
    if row.categories:
        entry["categories"] = list(row.categories)
    parts = []
    for name in sorted(row.subresources):
        group, version, kind = _sub_kind(row, name)
        parts.append(
            {
                "subresource": name,
                "responseKind": {"group": group, "version": version, "kind": kind},
                "verbs": list(_VERBS.get(name, _EVERY)),
            }
        )
    if parts:
        entry["subresources"] = parts
    return entry


def _aggregated(found: dict[str, dict[str, list[Resource]]]) -> Object:
    items: list[Object] = []
    for group, versions in found.items():
        shown = [
            {
                "version": version,
                "resources": [_aggregated_resource(row) for row in sorted(rows, key=lambda row: row.plural)],
                "freshness": "Current",
            }
            for version, rows in versions.items()
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": shown})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


class Discovery:
    """Answers for one set of resources."""

    def __init__(self, rows: Iterable[Resource] = resources.ALL) -> None:
        found = groups(rows)
        self._core = {"": found.get("", {})}
        self._named = {group: versions for group, versions in found.items() if group}

    def _wants_aggregated(self, request: Request) -> bool:
        for clause in request.header(b"accept").split(","):
            if "as=APIGroupDiscoveryList" in clause and "v=v2" in clause.replace(" ", "").split(";"):
                return True
            if clause.strip() in (JSON, "*/*"):
                return False
        return False

    def api(self, request: Request) -> Reply:
        """GET /api."""
        if self._wants_aggregated(request):
            return _shown(_aggregated(self._core))
        address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": request.header(b"host")}]
        return Reply.of({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address})

    def apis(self, request: Request) -> Reply:
        """GET /apis."""
        if self._wants_aggregated(request):
            return _shown(_aggregated(self._named))
        shown = [_group(group, versions) for group, versions in self._named.items()]
        return Reply.of({"kind": "APIGroupList", "apiVersion": "v1", "groups": shown})

    def group(self, name: str) -> Reply:
        """GET /apis/GROUP. Raises NotFound."""
        if name not in self._named:
            raise errors.NotFound("the server could not find the requested resource")
        return Reply.of({"kind": "APIGroup", "apiVersion": "v1"} | _group(name, self._named[name]))

    def version(self, group: str, version: str) -> Reply:
        """GET /api/VERSION and /apis/GROUP/VERSION. Raises NotFound."""
        rows = (self._named.get(group) if group else self._core[""] or {}) or {}
        if version not in rows:
            raise errors.NotFound("the server could not find the requested resource")
        return Reply.of(resource_list(group, version, rows[version]))


def _shown(obj: Object) -> Reply:
    reply = Reply.of(obj)
    reply.media_type = AGGREGATED
    return reply
