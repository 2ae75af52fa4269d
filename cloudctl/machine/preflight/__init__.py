"""What a VM must be like before it becomes a node: every check says what is wrong, why it matters and what mends it.

`findings = await run(Request(...))`, then `render(findings)` for people and `failed(findings)` to know whether to go on.
"""

from cloudctl.machine.preflight.finding import Finding, Level, Request, failed
from cloudctl.machine.preflight.report import render, to_json
from cloudctl.machine.preflight.runner import run
from cloudctl.machine.preflight.table import CHECKS, ignored

__all__ = ["CHECKS", "Finding", "Level", "Request", "failed", "ignored", "render", "run", "to_json"]
