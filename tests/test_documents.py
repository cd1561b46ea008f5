"""The documents are true: what they name is there. Every test, file, heading, setting and command."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.live import ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts and "var" not in path.relative_to(ROOT).parts
)
TEST = re.compile(r"`(?:…?(?=::)|(tests/[\w/]+\.py))(?:::(\w+))?`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"manage\.py ([a-z_]+)")
VARIABLE = re.compile(r"""env_(?:text|int|flag|list|networks)\(\s*["'](\w+)["']""")
INTERNAL = {
    "MLPLATFORM_LOOKS_ONLY",  # set by `manage.py doctor` for itself
    "MLPLATFORM_PARENT_PID",  # set for a process by the one that starts it
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def names_of(path: Path) -> frozenset[str]:
    """The names of all tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """The anchors of a document's headings, as the usual viewers make them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles)


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.S)


def named_tests(document: Path) -> list[tuple[str, str]]:
    """File and name of each test; a name alone, or after an ellipsis, is of the file that was named last."""
    found: list[tuple[str, str]] = []
    for file, name in TEST.findall(document.read_text(encoding="utf-8")):
        found.append((file or (found[-1][0] if found else ""), name))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_test_that_a_document_names_is_there(document: Path) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in named_tests(document)
        if not (ROOT / file).is_file() or (name and name not in names_of(ROOT / file))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_inside_the_documents_leads_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(without_code(document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        address, _hash, anchor = link.partition("#")
        target = (document.parent / address).resolve() if address else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_that_a_document_names_is_there(document: Path) -> None:
    known = {*get_commands(), "help"}
    assert [name for name in COMMAND.findall(document.read_text(encoding="utf-8")) if name not in known] == []


def test_every_setting_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    read = {
        name
        for room in ("mlplatform", "jobs", "endpoints", "monitoring")
        for path in (ROOT / room).rglob("*.py")
        for name in VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    assert read, "no setting was found in the sources"
    assert {name for name in read - INTERNAL if f"`{name}`" not in documented} == set()


def test_the_documents_of_promises_name_tests() -> None:
    for name in ("reliability.md", "security.md"):
        promised = named_tests(ROOT / "docs" / name)
        assert len(promised) >= 20, f"docs/{name} names {len(promised)} tests"
