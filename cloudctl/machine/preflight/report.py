"""Findings as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from cloudctl import table
from cloudctl.machine.preflight.finding import Finding, Level


def render(findings: Sequence[Finding], *, problems_only: bool = False) -> str:
    """A line each, `LEVEL NAME what: why; remedy`, and a line that counts them."""
    shown = [finding for finding in findings if finding.level != Level.OK or not problems_only]
    rows = [[finding.level.value, finding.name, _sentence(finding)] for finding in shown]
    return "\n".join(filter(None, (table.render([], rows), _summary(findings))))


def _sentence(finding: Finding) -> str:
    if finding.level == Level.OK:
        return finding.what
    return f"{finding.what}: {finding.why}; {finding.remedy}"


def _summary(findings: Sequence[Finding]) -> str:
    count = Counter(finding.level for finding in findings)
    parts = [f"{count[level]} {level}{'s' if count[level] != 1 else ''}" for level in (Level.ERROR, Level.WARNING)]
    return f"preflight: {', '.join(parts)}, {count[Level.OK]} ok"


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """`{"ok": bool, "findings": [{name, level, what, why, remedy}]}`."""
    return {
        "ok": all(finding.level != Level.ERROR for finding in findings),
        "findings": [
            {"name": f.name, "level": f.level.value, "what": f.what, "why": f.why, "remedy": f.remedy} for f in findings
        ],
    }
