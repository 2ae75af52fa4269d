"""What the documentation names is there: paths, names in files, links, make targets, commands and their flags."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from api import resources
from cloudctl import globals as globals_
from cloudctl.app import ENTRIES, Tree

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
FOLDERS = "api|client|apiserver|controllers|scheduler|kubelet|proxy|cloudctl|deploy|docs|tests"
_PATH = re.compile(rf"(?<![\w./~<$-])(?:{FOLDERS})/[\w./-]*[\w/]")
_NAMED = re.compile(rf"(?<![\w./~-])((?:{FOLDERS})/[\w./-]+\.py):([A-Za-z_][\w.]*)")
_MODULE = re.compile(rf"(?<![\w./-])((?:{FOLDERS})(?:\.[a-z_][a-z_0-9]*)*):([A-Za-z_]\w*)")
_OBJECT = re.compile(r"\bdeploy/[\w-]+(?![\w./-])")
"""`deploy/web`: as an argument of kubectl a Deployment, unless it is the file of a verb that reads files."""
_FROM_FILE = re.compile(r" (apply|create|delete|diff|replace) .*-f ")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_MAKE = re.compile(r"(?:^|[\s`(])make ([a-z]+)\b")
_COMMAND = re.compile(r"(?:^|[\s`(/])cloudctl ([^`|;&#()<>\n]*)")
_TARGET = re.compile(r"^([a-z]+):", re.MULTILINE)
_WORD = re.compile(r"[a-z][a-z-]*")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


EVERY = pytest.mark.parametrize("document", DOCUMENTS, ids=_id)


def code(text: str) -> Iterator[str]:
    """The pieces of a document that are code: lines of blocks (Python aside, which may show what is to be written) and spans."""
    language, prose = None, []
    for line in text.splitlines():
        fence = line.strip()
        if fence.startswith("```"):
            language = fence[3:] if language is None else None
        elif language is None:
            prose.append(line)
        elif language != "python":
            yield line.strip()
    yield from re.findall(r"`([^`]+)`", "\n".join(prose))


def paths(text: str) -> set[str]:
    """Paths of this repository that a document names."""
    found: set[str] = set()
    for piece in code(text):
        typed = re.search(r"(kube|cloud)ctl ", piece) and not _FROM_FILE.search(piece)
        found |= set(_PATH.findall(_OBJECT.sub("", piece) if typed else piece))
    return found


def names(text: str) -> set[tuple[str, str]]:
    """(file, dotted name in it), from `file.py:Name.member` and `package.module:Name`."""
    found: set[tuple[str, str]] = set()
    for piece in code(text):
        found |= set(_NAMED.findall(piece))
        for module, name in _MODULE.findall(piece):
            base = module.replace(".", "/")
            found.add((f"{base}.py" if (ROOT / f"{base}.py").exists() else f"{base}/__init__.py", name))
    return found


def commands(text: str) -> list[list[str]]:
    """The words after `cloudctl`, up to a pipe, a comment or the like."""
    found = []
    for piece in code(text):
        for match in _COMMAND.finditer(piece):
            try:
                found.append(shlex.split(match[1]))
            except ValueError:
                found.append(match[1].split())
    return found


def _targets(node: ast.stmt) -> Iterator[str]:
    """The names that one statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


@cache
def defined(path: str) -> frozenset[str]:
    """Everything a module defines: `name`, and `Class.member` for what a class has itself."""
    tree = ast.parse((ROOT / path).read_text())
    found: set[str] = set()
    for node in tree.body:
        found |= set(_targets(node))
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{member}" for part in node.body for member in _targets(part)}
    return frozenset(found)


def missing_names(text: str) -> list[str]:
    """The names of a document that their file does not define."""
    return [f"{path}:{name}" for path, name in sorted(names(text)) if not _defines(path, name)]


def _defines(path: str, name: str) -> bool:
    return (ROOT / path).is_file() and name in defined(path)


def wrong_command(words: list[str]) -> str | None:
    """Why `cloudctl WORDS` cannot be typed, or None."""
    _, typed = globals_.take(words[: words.index("--")] if "--" in words else words)
    verb = next((word for word in typed if not word.startswith("-")), "")
    if not verb or not _WORD.fullmatch(verb):
        return None
    if verb not in ENTRIES:
        return f"cloudctl {verb}"
    command: Any = Tree(name="cloudctl").get_command(None, verb)
    for word in typed[typed.index(verb) + 1 :]:
        command = getattr(command, "commands", {}).get(word, command)
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    unknown = [
        f for f in (word.partition("=")[0] for word in typed) if f.startswith("--") and f not in known | {"--help"}
    ]
    return f"cloudctl {verb} {unknown[0]}" if unknown else None


@EVERY
def test_every_path_named_is_there(document: Path) -> None:
    assert [path for path in sorted(paths(document.read_text())) if not (ROOT / path).exists()] == []


@EVERY
def test_every_name_behind_a_file_is_defined_in_it(document: Path) -> None:
    assert missing_names(document.read_text()) == []


@EVERY
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = [link for link in _LINK.findall(document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


@EVERY
def test_every_make_target_named_is_in_the_makefile(document: Path) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    assert {name for piece in code(document.read_text()) for name in _MAKE.findall(piece)} <= targets


@EVERY
def test_every_cloudctl_command_named_can_be_typed(document: Path) -> None:
    assert [wrong for words in commands(document.read_text()) if (wrong := wrong_command(words))] == []


def test_groups_said_not_to_be_served_are_not() -> None:
    _, _, rest = (ROOT / "docs/limits.md").read_text().partition("## API groups that are not served")
    said = re.findall(r"^- `([\w.]+)`", rest.partition("\n## ")[0], re.MULTILINE)
    assert said
    assert set(said) & {row.group for row in resources.ALL} == set(), "served by now: take it out of docs/limits.md"


def test_verbs_said_to_be_missing_are_missing() -> None:
    _, _, rest = (ROOT / "docs/limits.md").read_text().partition("These verbs of kubectl are missing:")
    said = re.findall(r"`([a-z-]+)`", rest.partition(".")[0])
    assert said
    assert set(said) & set(ENTRIES) == set(), "there by now: take it out of docs/limits.md"


def test_every_recipe_is_listed() -> None:
    folder = ROOT / "docs" / "how-to"
    listed = (folder / "README.md").read_text()
    assert [page.name for page in folder.glob("*.md") if page.name != "README.md" and page.name not in listed] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see `api/types.py:Object`", []),
        ("see `client/workqueue.py:WorkQueue.add`", []),
        ("see `client/workqueue.py:WorkQueue.nothing`", ["client/workqueue.py:WorkQueue.nothing"]),
        ("see `api/nowhere.py:Object`", ["api/nowhere.py:Object"]),
        ("see `api.types:Object` and `api.types:Nothing`", ["api/types.py:Nothing"]),
        ("```\napi/types.py:Nothing\n```", ["api/types.py:Nothing"]),
    ],
)
def test_a_name_that_is_not_there_is_noticed(text: str, wrong: list[str]) -> None:
    assert missing_names(text) == wrong


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`api/types.py` and `/etc/api/x` and `~/docs/x` and `apps/v1`", {"api/types.py"}),
        ("plain api/types.py is prose", set()),
        ("```python\nopen('api/not-yet.py')\n```", set()),
        ("```\ncat deploy/addons/dns.yaml\n```", {"deploy/addons/dns.yaml"}),
        ("`kubectl describe deploy/web` and `cloudctl logs -f deploy/web`", set()),
        ("`cloudctl apply -f deploy/addons`", {"deploy/addons"}),
    ],
)
def test_paths_are_found_in_code(text: str, found: set[str]) -> None:
    assert paths(text) == found


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("up --nodes 2", None),
        ("-n kube-system get pods -o wide", None),
        ("rollout status deployment/web --timeout=60s", None),
        ("exec web -- ls --all-of-it", None),
        ("up --nonsense", "cloudctl up --nonsense"),
        ("nonsense", "cloudctl nonsense"),
        ("VERB", None),
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(line: str, wrong: str | None) -> None:
    assert wrong_command(line.split()) == wrong
