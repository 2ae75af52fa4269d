"""A run as a whole: order, levels, names, time limits, what is printed, and the command."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from client.command import CommandError
from cloudctl.__main__ import run as cloudctl
from cloudctl.machine import preflight
from cloudctl.machine.preflight import CHECKS, Finding, Level, Request, failed, ignored, render, run, runner, to_json
from cloudctl.machine.preflight.finding import Check, Result, endpoint, error, ok, warning
from cloudctl.machine.preflight.probe import Probe
from cloudctl.machine.settings import Role
from tests.unit.cloudctl.machine.preflight.fake import FakeMachine

ROOT = Path(__file__).resolve().parents[5]


def check(name: str, *results: Result, **more: Any) -> Check:
    async def say(probe: Probe, request: Request) -> list[Result]:
        return list(results)

    return Check(name, "it", "it matters", "mend it", say, **more)


def made(name: str, run_: Callable[[Probe, Request], Awaitable[list[Result]]], **more: Any) -> Check:
    return Check(name, "it", "it matters", "mend it", run_, **more)


async def test_findings_come_in_the_table_s_order_and_carry_reason_and_remedy() -> None:
    table = [check("A", ok("fine")), check("B", error("bad", "`mend B`"), warning("so so")), check("C", alone=True)]
    assert await run(Request(), FakeMachine(), table) == [
        Finding("A", Level.OK, "fine"),
        Finding("B", Level.ERROR, "bad", "it matters", "`mend B`"),
        Finding("B", Level.WARNING, "so so", "it matters", "mend it"),
    ]


async def test_a_role_s_checks_alone_are_run() -> None:
    table = [check("A", ok("fine"), roles=frozenset({Role.CONTROL_PLANE})), check("B", ok("fine"))]
    assert [f.name for f in await run(Request(role=Role.WORKER), FakeMachine(), table)] == ["B"]


@pytest.mark.parametrize("text", ["Slow", "slow,Other", " SLOW ", "all"])
async def test_errors_that_are_ignored_become_warnings_that_say_so(text: str) -> None:
    names = frozenset(part.strip().lower() for part in text.split(","))
    found = await run(Request(ignore=names), FakeMachine(), [check("Slow", error("bad"))])
    assert [(f.level, f.what) for f in found] == [(Level.WARNING, "bad (error, ignored)")]
    assert not failed(found)
    assert failed(await run(Request(), FakeMachine(), [check("Slow", error("bad"))]))


def test_names_to_ignore_are_those_of_the_table() -> None:
    assert ignored("Swap, dockerversion") == {"swap", "dockerversion"}
    assert ignored("all") == {"all"} and ignored("") == frozenset()
    with pytest.raises(ValueError, match="swapp"):
        ignored("Swapp")
    assert len({check.name.lower() for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    "failure", [OSError("gone"), CommandError(["x"], 1, "gone"), ValueError("gone"), KeyError("gone")]
)
async def test_what_cannot_be_seen_is_a_warning_and_not_an_error(failure: Exception) -> None:
    async def fail(probe: Probe, request: Request) -> list[Result]:
        raise failure

    [found] = await run(Request(), FakeMachine(), [made("A", fail)])
    assert found.level == Level.WARNING and "gone" in found.what


async def test_a_check_that_hangs_is_given_up_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_SECONDS", 0.01)

    async def hang(probe: Probe, request: Request) -> list[Result]:
        await asyncio.Event().wait()
        raise AssertionError

    found = await run(Request(), FakeMachine(), [made("A", hang), check("B", ok("fine"))])
    assert [(f.name, f.level) for f in found] == [("A", Level.WARNING), ("B", Level.OK)]


async def test_checks_wait_together_and_measurements_run_alone() -> None:
    running: set[str] = set()
    together = asyncio.Event()

    def meeting(name: str, many: int) -> Check:
        async def meet(probe: Probe, request: Request) -> list[Result]:
            assert not running & {"alone"}
            running.add(name)
            if len(running) == many:
                together.set()
            await together.wait()
            if many == 1:
                running.remove(name)
                together.clear()
            return [ok("met")]

        return made(name, meet, alone=many == 1)

    found = await run(Request(), FakeMachine(), [meeting("A", 2), meeting("alone", 1), meeting("B", 2)])
    assert [(f.name, f.what) for f in found] == [("A", "met"), ("alone", "met"), ("B", "met")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.10:6443", ("192.0.2.10", 6443)),
        ("api.example", ("api.example", 6443)),
        ("https://api.example:443/", ("api.example", 443)),
        ("[2001:db8::1]:6443", ("2001:db8::1", 6443)),
        ("[2001:db8::1]", ("2001:db8::1", 6443)),
    ],
)
def test_a_server_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert endpoint(text) == expected


@pytest.mark.parametrize("text", [":6443", "host:", "host:x", "host:0", "host:70000", "a/b:1", "[x]:1", "me@host:1"])
async def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        await run(Request(server=text), FakeMachine(), [])


FOUND = [
    Finding("Root", Level.OK, "run by root"),
    Finding("Swap", Level.WARNING, "swap is on: /dev/vda2", "it is slow", "`swapoff -a`"),
    Finding("Docker", Level.ERROR, "Docker is not installed", "containers run on it", "`apt-get install docker.io`"),
]


def test_a_line_each_says_what_why_and_what_mends_it() -> None:
    assert render(FOUND).splitlines() == [
        "ok        Root     run by root",
        "warning   Swap     swap is on: /dev/vda2: it is slow; `swapoff -a`",
        "error     Docker   Docker is not installed: containers run on it; `apt-get install docker.io`",
        "preflight: 1 error, 1 warning, 1 ok",
    ]
    assert [line.split()[0] for line in render(FOUND, problems_only=True).splitlines()] == [
        "warning",
        "error",
        "preflight:",
    ]
    assert render([]) == "preflight: 0 errors, 0 warnings, 0 ok"


def test_json_has_the_same() -> None:
    assert to_json(FOUND)["ok"] is False
    assert to_json(FOUND)["findings"][1] == {
        "name": "Swap",
        "level": "warning",
        "what": "swap is on: /dev/vda2",
        "why": "it is slow",
        "remedy": "`swapoff -a`",
    }


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The command with findings of its own; what it asked for."""
    asked: list[Request] = []

    async def answer(request: Request) -> list[Finding]:
        asked.append(request)
        return FOUND if not request.ignore else FOUND[:2]

    monkeypatch.setattr(preflight, "run", answer)
    return asked


def test_the_command_s_exit_code_is_1_for_an_error(answers: list[Request], capsys: pytest.CaptureFixture[str]) -> None:
    line = ["preflight", "--role=worker", "--server", "192.0.2.10:6443", "--address=192.0.2.11", "-o", "json"]
    assert cloudctl(line) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert answers == [Request(role=Role.WORKER, server="192.0.2.10:6443", address="192.0.2.11")]
    assert cloudctl(["preflight", "--ignore-preflight-errors=Docker"]) == 0
    assert answers[1] == Request(ignore=frozenset({"docker"}))


@pytest.mark.parametrize(
    "wrong", [["--role", "boss"], ["--ignore-preflight-errors", "Nothing"], ["--output", "xml"], ["--server", "a:b"]]
)
def test_wrong_flags_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cloudctl(["preflight", *wrong]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def reference() -> list[str]:
    """The rows of the table in docs/preflight.md."""
    return [
        f"| `{c.name}` | {c.looks_at} | {c.why} | {c.remedy} | {'both' if len(c.roles) > 1 else 'control plane'} |"
        for c in CHECKS
    ]


def test_the_documentation_lists_every_check() -> None:
    text = (ROOT / "docs" / "preflight.md").read_text()
    assert [line for line in text.splitlines() if re.match(r"\| `[A-Z]", line)] == reference()
