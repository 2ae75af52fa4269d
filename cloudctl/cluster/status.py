"""How the cluster on this machine is: its daemons as the supervisor sees them, its nodes as the API shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from api import resources
from api.errors import ApiError
from client.rest import ApiClient
from cloudctl.cluster.processes import Supervision
from cloudctl.cluster.ready import node_is_ready
from cloudctl.cluster.state import Cluster


@dataclass
class Status:
    """What `cloudctl status` shows; `problems` is empty when all is well."""

    home: str
    server: str
    daemons: list[dict[str, Any]] = field(default_factory=list)
    nodes: dict[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


async def status(cluster: Cluster) -> Status:
    """Ask the supervisor and the API server."""
    answer = Status(str(cluster.home), cluster.server)
    supervision = await Supervision.connect(cluster)
    if supervision is None:
        answer.problems.append("the cluster is not running; `cloudctl up` starts it")
        return answer
    await supervision.close()
    for state in supervision.states.values():
        answer.daemons.append({**state, "memory_mib": memory_mib(state["pid"])})
        if state["state"] != "ready":
            answer.problems.append(f"{state['name']} is {state['state']}, see {state['log']}")
    try:
        async with ApiClient.from_kubeconfig(cluster.admin_kubeconfig, "cloudctl") as client:
            for node in (await client.list(resources.NODES)).get("items") or ():
                answer.nodes[node["metadata"]["name"]] = node_is_ready(node)
    except ApiError as error:
        answer.problems.append(error.message)
        return answer
    late = [name for name, is_ready in answer.nodes.items() if not is_ready]
    if late:
        answer.problems.append(f"nodes not ready: {', '.join(late)}")
    if len(answer.nodes) < cluster.node_count:
        answer.problems.append(f"{cluster.node_count - len(answer.nodes)} nodes are missing")
    return answer


def memory_mib(pid: int) -> float | None:
    """The memory that only this process uses (PSS where the kernel tells it, else RSS), in MiB."""
    for name, label in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            text = Path(f"/proc/{pid}/{name}").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(label):
                return round(int(line.split()[1]) / 1024, 1)
    return None
