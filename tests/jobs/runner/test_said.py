"""A job's own process is believed its template only where filling it in can do nothing but give the same message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.runner.failure import failure_from
from jobs.runner.said import said_read, said_text
from mlplatform.core.errors import DataError
from mlplatform.core.text import Text, text, to_json
from tests.jobs.runner.scripted import follow

CELL = text("'{value}' is no number", value="x")


def test_a_template_that_gives_the_message_is_kept() -> None:
    wrapped = text("{message} ({name} channel)", message=CELL, name="train")
    found = said_read(json.loads(json.dumps(to_json(wrapped))), message=str(wrapped))
    assert isinstance(found, Text)
    assert (found, to_json(found)) == ("'x' is no number (train channel)", to_json(wrapped))


def deep(levels: int) -> Any:
    return CELL if not levels else text("{inner}", inner=deep(levels - 1))


@pytest.mark.parametrize(
    "said",
    [
        None,
        "it failed",
        [],
        {"template": "", "params": {}},
        {"template": "it failed"},
        {"template": "it failed", "params": None},
        {"template": "it {what}", "params": {}},
        {"template": "{a.__class__}", "params": {"a.__class__": "it failed"}},
        {"template": "{a[0]}", "params": {"a": ["it failed"]}},
        {"template": "{a!r}", "params": {"a": "it failed"}},
        {"template": "{a:>999999999}", "params": {"a": "it failed"}},
        {"template": "{a}{a}", "params": {"a": "it failed"}},
        {"template": "{}", "params": {"": "it failed"}},
        {"template": "{0}", "params": {"0": "it failed"}},
        {"template": "{a", "params": {"a": "it failed"}},
        {"template": "{a}", "params": {"a": {"template": "{b.c}", "params": {"b": 1}}}},
        {"template": "{a}", "params": {"a": None}},
        to_json(text("{a}", a="it worked")),
        to_json(deep(9)),
    ],
)
def test_anything_else_leaves_the_message_as_plain_text(said: Any) -> None:
    found = said_read(said, message="it failed")
    assert found == "it failed"
    assert not isinstance(found, Text)


def test_what_the_platform_says_in_the_process_arrives_with_its_template(tmp_path: Path) -> None:
    failure = failure_from(DataError(CELL, row=3, column="width"))
    done = follow(
        tmp_path,
        f"""
        import json, os
        json.dump({ {"kind": failure.kind, "message": failure.message, "said": failure.said}!r},
                  open('output/failure.json', 'w'))
        os._exit(1)
        """,
    )
    assert done.outcome.failure is not None
    assert done.outcome.failure["reason"] == "row 3, column 'width': 'x' is no number"
    assert done.outcome.failure["said"] == to_json(DataError(CELL, row=3, column="width").text)


def test_what_an_algorithm_said_itself_has_no_template(tmp_path: Path) -> None:
    assert failure_from(ValueError("the width must be even")).said is None
    done = follow(
        tmp_path, "open('output/failure', 'w').write('ClientError: no such thing'); raise SystemExit(1)"
    )
    assert done.outcome.failure is not None
    assert (done.outcome.failure["reason"], done.outcome.failure["said"]) == ("no such thing", None)


def test_params_without_a_place_are_left_out() -> None:
    inner = {"template": "'{value}' is no number", "params": {"value": "x", "margin": 1.2, "odd": {"a": []}}}
    said = {"template": "{inner}!", "params": {"inner": inner, "more": None}}
    for found in (said_text(said), said_read(said, message="'x' is no number!")):
        assert isinstance(found, Text)
        assert to_json(found) == to_json(text("{inner}!", inner=CELL))


def test_who_says_nothing_but_a_template_is_believed_one_that_only_repeats_what_it_says() -> None:
    found = said_text(json.loads(json.dumps(to_json(text("{inner}!", inner=CELL)))))
    assert isinstance(found, Text)
    assert found == "'x' is no number!"
    assert said_text("plain {text}") == "plain {text}"
    for template in ("{a:>999999999}", "{a.__class__}", "{a[0]}", "{a}{a}", "{a!r}", "{b}", "{"):
        said = {"template": template, "params": {"a": "x"}}
        assert said_text(said) == repr(said)
    assert len(said_text(["x" * 100_000])) == 1000
