"""Source code as coloured lines, and what two folders differ in."""

from __future__ import annotations

import html
import re

import pytest

from mlplatform.web.code_lines import code_lines, files_differences

PYTHON = 'def f(x):\n    """Doc\n    goes on."""\n    return x < 1 & 2  # <b>\n'


def plain(lines: tuple[str, ...]) -> list[str]:
    return [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in lines]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("train.py", PYTHON),
        ("train.py", ""),
        ("train.py", "\n\n\nx = 1"),
        ("train.py", "x = 1\n\n\n"),
        ("train.py", "def broken(:\n\t'unclosed\n"),
        ("train.py", "a\x0cb\u2028c = '日本語'\n"),
        ("requirements.txt", "numpy>=1\n"),
        ("run.sh", "#!/bin/sh\nexec python train.py <<EOF\n"),
        ("no-suffix", "<script>alert(1)</script>\n"),
        ("config.json", '{"a": [1, 2.5e3, null]}'),
    ],
)
def test_every_line_is_there_once_and_nothing_is_markup(path: str, text: str) -> None:
    lines = code_lines(path, text)
    assert plain(lines) == text.removesuffix("\n").split("\n")
    assert "<script" not in "".join(lines) and "<b>" not in "".join(lines)


def test_tokens_have_the_classes_that_the_style_sheet_colours() -> None:
    first, doc, _doc2, last = code_lines("train.py", PYTHON)
    assert '<span class="tok-k">def</span>' in first and 'tok-nf">f<' in first
    assert 'class="tok-sd"' in doc and 'class="tok-c1"' in last


def test_a_very_long_file_is_shown_without_colours() -> None:
    lines = code_lines("train.py", "x = 1\n" * 50_000)
    assert len(lines) == 50_000 and lines[0] == "x = 1"


def test_differences_have_signs_numbers_and_some_lines_around() -> None:
    old = "\n".join(f"line {n}" for n in range(1, 31))
    new = old.replace("line 15", "line fifteen")
    [found] = files_differences({"a.py": old, "same.py": "x"}, {"a.py": new, "same.py": "x"})
    assert (found.path, found.state, found.n_added, found.n_removed) == ("a.py", "changed", 1, 1)
    signs = [(line.sign, line.text, line.before, line.after) for line in found.lines]
    assert signs[0][0] == "@" and len(signs) == 1 + 3 + 2 + 3
    assert ("-", "line 15", 15, None) in signs and ("+", "line fifteen", None, 15) in signs
    assert (" ", "line 14", 14, 14) in signs


def test_files_that_were_added_removed_or_are_no_text_are_named() -> None:
    found = files_differences({"a": "1", "b": None, "c": "same"}, {"b": "x", "c": "same", "d": "2\n3"})
    assert [(one.path, one.state, one.n_added, one.n_removed) for one in found] == [
        ("a", "removed", 0, 1),
        ("b", "changed", 0, 0),
        ("d", "added", 2, 0),
    ]
