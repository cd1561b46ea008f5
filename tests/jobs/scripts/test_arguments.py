"""Hyperparameters as the service's toolkit hands them to a script, and what is told of a script's failure: pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.runner.follow import Cause, Ending
from jobs.runner.outcome import Outcome, Tail, _failed
from jobs.runner.script.arguments import (
    command_line,
    hyperparameters_decoded,
    hyperparameters_split,
    reserved_of_request,
)
from jobs.runner.script_outcome import script_outcome
from jobs.services.inputs import file_names
from mlplatform.core.status import FailureKind
from mlplatform.core.text import from_json
from mlplatform.core.text import text as _

CODE = Path("/opt/ml/code")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("5", "5"),
        ("0.10", "0.1"),
        ("1e-3", "0.001"),
        ("true", "True"),
        ("null", "None"),
        ("[1, 2]", "[1, 2]"),
        ('{"b": 1, "a": "x"}', "a=x,b=1"),
        ('"quoted"', "quoted"),
        ("plain", "plain"),
        ("007", "007"),
        ("", ""),
        ("NaN", "nan"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_json_or_itself(text: str, word: str) -> None:
    assert command_line(hyperparameters_decoded({"name": text})) == ["--name", word]


def test_names_are_in_order_and_those_of_the_platform_are_kept_back() -> None:
    texts = reserved_of_request(
        entry_point="train.py",
        source_uri="s3://b/sourcedir.tar.gz",
        job_name="job",
        region="us-east-1",
        given={"z": "1", "beta": "2", "_tuning_objective_metric": "rmse", "sagemaker_program": '"given.py"'},
    )
    values, reserved = hyperparameters_split(hyperparameters_decoded(texts))
    assert command_line(values) == ["--beta", "2", "-z", "1"]
    assert reserved["sagemaker_program"] == "given.py" and reserved["sagemaker_container_log_level"] == 20
    assert json.loads(texts["sagemaker_job_name"]) == "job" and "_tuning_objective_metric" in reserved


@pytest.mark.parametrize(
    ("uri", "objects", "names"),
    [
        ("s3://b/x/iris.csv", ["s3://b/x/iris.csv"], ("iris.csv",)),
        ("s3://b/x", ["s3://b/x/a.csv", "s3://b/x/y/b.csv"], ("a.csv", "y/b.csv")),
        ("s3://b/x/", ["s3://b/x/a.csv"], ("a.csv",)),
        ("s3://b/x", ["s3://b/x/a", "s3://b/x/a/b.csv"], ("part-00000", "part-00001.csv")),
    ],
)
def test_objects_keep_their_names(uri: str, objects: list[str], names: tuple[str, ...]) -> None:
    assert file_names(uri, objects) == names


def failed(reason: Any) -> Outcome:
    return _failed(FailureKind.EXCEPTION, reason, Ending(1, Cause.EXIT, 0, 1.0), Tail())


def told(*lines: str, network: bool = False, reason: Any = None) -> str:
    outcome = failed(reason or _("The process ended with exit code {code}: {line}", code=1, line=lines[-1]))
    found = script_outcome(outcome, tail=Tail(lines, 1), code_dir=CODE, network=network)
    assert found.failure is not None
    assert found.failure["said"] is None or from_json(found.failure["said"]) == found.failure["reason"]
    return str(found.failure["reason"])


def test_the_innermost_line_of_the_scripts_own_code_is_named() -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "/opt/ml/code/train.py", line 9, in <module>',
        '  File "/opt/ml/code/lib/fit.py", line 3, in fit',
        '  File "/usr/lib/python3/site-packages/sklearn/base.py", line 77, in check',
        "ValueError: no rows",
    )
    assert told(*lines).endswith("ValueError: no rows (lib/fit.py, line 3)")
    assert told("boom").endswith(": boom")
    assert told(*lines, reason="what it wrote itself") == "what it wrote itself"


@pytest.mark.parametrize(
    "line",
    [
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "curl: (6) Could not resolve host: somewhere",
        "OSError: [Errno 101] Network is unreachable",
    ],
)
def test_a_network_that_was_missed_is_told_with_the_setting(line: str) -> None:
    assert "MLPLATFORM_SCRIPT_NETWORK=1" in told(line)
    assert "MLPLATFORM_SCRIPT_NETWORK" not in told(line, network=True)
    assert "MLPLATFORM_SCRIPT_NETWORK" not in told("ValueError: network of 3 layers")
