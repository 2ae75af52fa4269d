"""The controller manager's flags of leader election."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from client.timing import Timing
from controllers import __main__ as command


def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *flags: str) -> tuple[Timing | None, str]:
    """What the manager is told, and what the user."""
    given: list[Timing | None] = []

    async def serve(process: Any, path: str, settings: Any, names: list[str], timing: Timing | None) -> None:
        given.append(timing)

    monkeypatch.setattr("controllers.manager.serve", serve)
    monkeypatch.setattr("client.daemon.run", lambda name, main, **_: asyncio.run(main(None)))
    app = typer.Typer()
    app.command()(command.controllers)
    path = tmp_path / "kubeconfig"
    path.touch()
    result = CliRunner().invoke(app, [f"--kubeconfig={path}", *flags])
    return (given[0] if given else None), result.output


@pytest.mark.parametrize(
    ("flags", "timing"),
    [
        ([], Timing()),
        (["--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10"], Timing(15, 10, 1)),
        (["--no-leader-elect"], None),
    ],
)
def test_periods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: list[str], timing: Timing | None) -> None:
    assert told(monkeypatch, tmp_path, *flags) == (timing, "")


def test_periods_that_make_no_sense_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "renew deadline" in told(monkeypatch, tmp_path, "--leader-elect-lease-duration=3")[1]
    assert "'often' is no" in told(monkeypatch, tmp_path, "--leader-elect-retry-period=often")[1]
