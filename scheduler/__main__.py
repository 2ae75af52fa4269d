"""`cloudlet-scheduler`: the scheduler's command line."""

from __future__ import annotations

import argparse

from client import daemon, timing
from scheduler import config, manager


def _yes(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError("want true or false")
    return text == "true"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cloudlet-scheduler", description="Assign pods to nodes, as kube-scheduler does."
    )
    parser.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    parser.add_argument("--config", help="a KubeSchedulerConfiguration file: profiles, plugins, weights")
    parser.add_argument("--leader-elect", nargs="?", const=True, type=_yes, help="true (the default) or false")
    parser.add_argument("--no-leader-elect", dest="leader_elect", action="store_false")
    parser.set_defaults(leader_elect=None)
    parser.add_argument("--leader-elect-resource-name", default="kube-scheduler", metavar="NAME")
    timing.add_flags(parser)
    parser.add_argument("--health-address", default="127.0.0.1", help="where /healthz and /metrics are served")
    parser.add_argument("--health-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser


def main() -> None:
    """Entry point of the console script."""
    parser = _parser()
    flags = parser.parse_args()
    try:
        settings = config.load(flags.config) if flags.config else config.Config()
        periods = timing.of(flags)
    except ValueError as error:
        parser.error(str(error))
    elect = flags.leader_elect if flags.leader_elect is not None else settings.leader_elect is not False

    async def run(process: daemon.Daemon) -> None:
        lease = flags.leader_elect_resource_name if elect else ""
        await manager.serve(process, flags.kubeconfig, settings, lease, periods)

    daemon.run(
        "cloudlet-scheduler",
        run,
        health_address=flags.health_address,
        health_port=flags.health_port,
        log_level=flags.log_level,
    )


if __name__ == "__main__":
    main()
