"""An ensemble's job with two threads is the job with one: model, log, failure. It stops when it is told to."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from jobs.algorithms.registry import algorithm_get
from tests.contracts.job_folder import TIMEOUT_S, JobFolder, JobResult, csv_text

SMALL = {"xgboost__num_round": "20", "catboost__iterations": "30"}
MANY = {
    **SMALL,
    "members": "xgboost, catboost, deep=xgboost, linear-learner",
    "blend": "stacked",
    "n_folds": "3",
    "xgboost__subsample": "0.7",
    "deep__max_depth": "9",
}


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_diabetes(return_X_y=True)
    return X.astype(np.float32), y.astype(np.float32)


def job(root: Path, n_threads: int, y: np.ndarray | None = None, **given: str) -> JobFolder:
    X, labels = diabetes()
    text = csv_text(X, labels if y is None else y)
    values = {"task": "regressor", **SMALL, **given}
    return JobFolder(root, "ensemble", values, {"train": text}, n_threads=n_threads).prepare()


def said(result: JobResult) -> list[str]:
    """What the engine wrote: without instants, how many threads there are and how far the job was when."""
    lines = [re.sub(r"^\[.*? (INFO|WARNING) \d+\] ", r"\1 ", line) for line in result.out.splitlines()]
    first = next(number for number, line in enumerate(lines) if "Read train data" in line)
    return [line for line in lines[first:] if "#progress_metric" not in line]


def test_two_threads_give_the_model_and_the_log_of_one(tmp_path: Path) -> None:
    results = [job(tmp_path / str(n), n, **MANY).run() for n in (1, 2)]
    assert [(result.returncode, result.err) for result in results] == [(0, ""), (0, "")]
    one, two = results
    assert said(one) == said(two)
    assert len([line for line in said(two) if "INFO Fold " in line]) == 3 * 4
    assert one.model_files == two.model_files
    for file in one.model_files:
        if "-catboost/" not in file:  # says when it was trained; its answers are compared below
            assert (one.model_dir / file).read_bytes() == (two.model_dir / file).read_bytes(), file
    X, _y = diabetes()
    engine = algorithm_get("ensemble").engine_load()
    answers = [engine.load(result.model_dir, n_threads=1).predict(X, verbose=True) for result in (one, two)]
    assert {"score", "xgboost_score", "catboost_score", "deep_score"} <= set(answers[0])
    for name, column in answers[0].items():
        np.testing.assert_array_equal(column, answers[1][name], err_msg=name)


def test_what_a_member_cannot_learn_from_is_told_as_with_one_thread(tmp_path: Path) -> None:
    """catboost refuses labels that are all the same; xgboost does not."""
    y = np.ones(442, np.float32)
    one, two = (job(tmp_path / str(n), n, y, xgboost__num_round="300").run() for n in (1, 2))
    assert (one.returncode, two.returncode) == (1, 1)
    assert one.failure == two.failure
    assert two.failure["kind"] == "data_error"
    assert "CatBoost cannot train on this data" in two.failure["message"]
    assert two.model_files == []


@pytest.mark.parametrize("n_threads", [1, 2])
def test_sigterm_ends_a_job_in_the_middle_of_its_fits(n_threads: int, tmp_path: Path) -> None:
    many = {"xgboost__num_round": "1000000", "catboost__iterations": "1000000"}
    folder = job(tmp_path, n_threads, n_folds="0", **many)
    process = folder.start()
    assert process.stdout is not None
    for line in process.stdout:
        if "xgboost: [3]" in line:
            process.send_signal(signal.SIGTERM)
            break
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, err) == (143, "")
    assert "Stopped by SIGTERM; no model was written" in out
    assert list((tmp_path / "model").iterdir()) == []
