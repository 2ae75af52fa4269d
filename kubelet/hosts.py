"""The files a pod's names come from: /etc/hosts, /etc/resolv.conf, and its hostname. Pure.

Sources: Kubernetes' "Adding entries to Pod /etc/hosts with HostAliases" and "DNS for Services and Pods".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.types import Object

_MANAGED = "# Kubernetes-managed hosts file.\n"
_MANAGED_HOST = "# Kubernetes-managed hosts file (host network).\n"
_LOCAL = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
)
_HOSTNAME_LIMIT = 63
_SEARCH_LIMIT = 32
_SERVER_LIMIT = 3


def hostname(pod: Object) -> str:
    """The pod's short hostname."""
    name = str(pod["spec"].get("hostname") or pod["metadata"]["name"])
    return name[:_HOSTNAME_LIMIT].rstrip("-.")


def domain(pod: Object, cluster_domain: str) -> str:
    """The domain that spec.subdomain gives the pod, empty without one."""
    sub = pod["spec"].get("subdomain")
    return f"{sub}.{pod['metadata'].get('namespace', 'default')}.svc.{cluster_domain}" if sub else ""


def uts_name(pod: Object, cluster_domain: str) -> str:
    """What hostname(1) prints inside: the fully qualified name if setHostnameAsFQDN."""
    if override := pod["spec"].get("hostnameOverride"):
        return str(override)
    suffix = domain(pod, cluster_domain)
    if pod["spec"].get("setHostnameAsFQDN") and suffix:
        return f"{hostname(pod)}.{suffix}"
    return hostname(pod)


def hosts_file(pod: Object, ips: Sequence[str], cluster_domain: str, node_hosts: str | None = None) -> str:
    """The text of /etc/hosts; `node_hosts` is the node's own file, for a pod in the node's network."""
    if node_hosts is not None:
        text = _MANAGED_HOST + node_hosts
    else:
        name, suffix = hostname(pod), domain(pod, cluster_domain)
        names = f"{name}.{suffix}\t{name}" if suffix else name
        text = _MANAGED + _LOCAL + "".join(f"{ip}\t{names}\n" for ip in ips)
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join([a["ip"], *(a.get("hostnames") or ())]) + "\n" for a in aliases)
    return text


@dataclass(frozen=True, slots=True)
class Resolver:
    """The content of a resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Resolver:
        """Read a resolv.conf (resolv.conf(5): the last `search` line counts)."""
        servers, searches, options = [], [], []
        for line in text.splitlines():
            words = line.split("#")[0].split(";")[0].split()
            if not words:
                continue
            if words[0] == "nameserver" and len(words) > 1:
                servers.append(words[1])
            elif words[0] in ("search", "domain"):
                searches = [w for w in words[1:] if w != "."]
            elif words[0] == "options":
                options += words[1:]
        return cls(tuple(servers), tuple(searches), tuple(options))

    def text(self) -> str:
        """Its file."""
        lines = []
        if self.searches:
            lines.append(f"search {' '.join(self.searches)}")
        lines += [f"nameserver {server}" for server in self.servers]
        if self.options:
            lines.append(f"options {' '.join(self.options)}")
        return "\n".join(lines) + "\n"


def resolver(pod: Object, node: Resolver, cluster_dns: Sequence[str], cluster_domain: str) -> Resolver:
    """What the pod's dnsPolicy and dnsConfig make of the node's resolver and the cluster's."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    clustered = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork"))
    if policy == "None":
        base = Resolver()
    elif clustered and cluster_dns:
        space = pod["metadata"].get("namespace", "default")
        own = (f"{space}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        base = Resolver(tuple(cluster_dns), _unique(own + node.searches), ("ndots:5",))
    else:
        base = node
    config = spec.get("dnsConfig") or {}
    options = dict(_option(o) for o in base.options)
    for option in config.get("options") or ():
        options[option["name"]] = option.get("value") or ""
    return Resolver(
        _unique(base.servers + tuple(config.get("nameservers") or ()))[:_SERVER_LIMIT],
        _unique(base.searches + tuple(config.get("searches") or ()))[:_SEARCH_LIMIT],
        tuple(f"{name}:{value}" if value else name for name, value in options.items()),
    )


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name, value


def _unique(items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
