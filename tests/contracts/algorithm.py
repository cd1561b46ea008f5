"""What every algorithm promises. A subclass gives one fixture, `case`, and inherits all of it:

    class TestKnn(AlgorithmContract):
        @pytest.fixture(scope="class")
        @classmethod
        def case(cls) -> AlgorithmCase: ...

Jobs run as real processes on tiny data.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from jobs.algorithms.base import AlgorithmSpec, Predictor
from jobs.algorithms.registry import algorithm_get
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import DataError, InvalidRequest, ModelError
from tests.contracts.job_folder import JobFolder, JobResult, csv_text

LOG_LINE = re.compile(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d (INFO|WARNING) \d+\] .+")

_PREDICT = """
import sys
from pathlib import Path
import numpy as np
from jobs.algorithms.registry import algorithm_get
predictor = algorithm_get(sys.argv[1]).engine_load().load(Path(sys.argv[2]), n_threads=1)
prediction = predictor.predict(np.load(sys.argv[3]), verbose=True)
np.savez(sys.argv[4], **prediction)
"""


@dataclass(frozen=True)
class AlgorithmCase:
    """Tiny data and hyperparameters that the algorithm learns something from.

    Args:
        metrics: Names of the declared metrics that this job writes to its log.
        scored: The channel whose rows the model is scored with.
        takes_missing: Whether the algorithm learns from rows with missing features.
    """

    algorithm: str
    hyperparameters: Mapping[str, str]
    X: NDArray[np.float32]
    y: NDArray[np.float32]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.float32]
    metrics: tuple[str, ...]
    scored: str = "test"
    takes_missing: bool = False

    def folder(self, root: Path, **changes: object) -> JobFolder:
        train, test = csv_text(self.X, self.y), csv_text(self.X_test, self.y_test)
        settings = {"hyperparameters": self.hyperparameters, "channels": {"train": train, self.scored: test}}
        return JobFolder(root=root, algorithm=self.algorithm, **(settings | changes)).prepare()


class AlgorithmContract:
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> AlgorithmCase:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def spec(cls, case: AlgorithmCase) -> AlgorithmSpec:
        return algorithm_get(case.algorithm)

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls, case: AlgorithmCase, tmp_path_factory: pytest.TempPathFactory) -> JobResult:
        result = case.folder(tmp_path_factory.mktemp("trained")).run()
        assert result.returncode == 0, result.out + result.err
        return result

    @pytest.fixture(scope="class")
    @classmethod
    def predictor(cls, spec: AlgorithmSpec, trained: JobResult) -> Predictor:
        return spec.engine_load().load(trained.model_dir, n_threads=1)

    # ---- the declaration

    def test_the_defaults_of_its_hyperparameters_are_valid(self, spec: AlgorithmSpec) -> None:
        for declared in spec.hyperparameters:
            for value in (declared.default, declared.example):
                if value is not None:
                    assert declared.parse(str(value)) == value, declared.name

    def test_its_description_is_complete_json(self, spec: AlgorithmSpec) -> None:
        described = json.loads(json.dumps(spec.describe()))
        assert described["name"] == spec.name
        assert described["summary"]
        assert {channel["name"] for channel in described["channels"]} >= {"train"}
        for hyperparameter in described["hyperparameters"]:
            keys = {"name", "type", "help", "required", "default", "min", "max", "values", "scale", "tunable"}
            assert keys <= hyperparameter.keys()
            assert hyperparameter["help"], hyperparameter["name"]
            assert hyperparameter["type"] in {"integer", "continuous", "categorical", "text"}

    def test_what_a_hyperparameter_is_relevant_to_exists(self, spec: AlgorithmSpec) -> None:
        for declared in spec.hyperparameters:
            for name, values in (declared.relevant_if or {}).items():
                for value in values:
                    assert spec.hyperparameter(name).parse(value) == value

    def test_its_metrics_have_one_group_for_the_value(self, spec: AlgorithmSpec) -> None:
        assert all(re.compile(metric.regex).groups == 1 for metric in spec.metrics)

    def test_its_declaration_loads_no_library(self, case: AlgorithmCase) -> None:
        heavy = "{'numpy', 'pyarrow', 'faiss', 'sklearn', 'xgboost', 'catboost', 'django', 'celery'}"
        code = (
            "import sys; from jobs.algorithms.registry import algorithm_get;"
            f"algorithm_get({case.algorithm!r}).describe(); print(sorted({heavy} & set(sys.modules)))"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == "[]"

    def test_a_required_hyperparameter_that_is_absent_is_named(
        self, case: AlgorithmCase, spec: AlgorithmSpec
    ) -> None:
        for declared in (found for found in spec.hyperparameters if found.required):
            given = {name: value for name, value in case.hyperparameters.items() if name != declared.name}
            with pytest.raises(InvalidRequest) as caught:
                spec.validate(given)
            assert f"hyperparameters.{declared.name}" in {error.field for error in caught.value.errors}

    # ---- training

    def test_a_trained_job_leaves_a_model_and_no_failure(self, trained: JobResult) -> None:
        assert trained.model_files
        assert not (trained.root / "output" / "failure").exists()
        assert trained.err == ""

    def test_every_log_line_has_the_form_of_the_service(self, trained: JobResult) -> None:
        lines = trained.out.splitlines()
        assert lines
        assert [line for line in lines if not LOG_LINE.fullmatch(line)] == []

    def test_its_metrics_are_in_the_log_as_declared(
        self, case: AlgorithmCase, spec: AlgorithmSpec, trained: JobResult
    ) -> None:
        regexes = {metric.name: metric.regex for metric in spec.metrics}
        for name in case.metrics:
            found = re.search(regexes[name], trained.out)
            assert found, f"{name} is not in the log"
            assert np.isfinite(float(found.group(1)))

    def test_its_progress_ends_at_100_percent(self, trained: JobResult) -> None:
        found = re.findall(r"#progress_metric: host=algo-1, completed (\d+) % of epochs", trained.out)
        assert found[-1] == "100"
        assert [int(percent) for percent in found] == sorted(int(percent) for percent in found)

    def test_the_same_seed_gives_the_same_model(
        self, case: AlgorithmCase, spec: AlgorithmSpec, predictor: Predictor, tmp_path: Path
    ) -> None:
        again = case.folder(tmp_path).run(anew=True)
        loaded = spec.engine_load().load(again.model_dir, n_threads=1)
        _same(loaded.predict(case.X_test, verbose=True), predictor.predict(case.X_test, verbose=True))

    def test_pipe_mode_gives_the_same_model_as_file_mode(
        self, case: AlgorithmCase, spec: AlgorithmSpec, predictor: Predictor, tmp_path: Path
    ) -> None:
        piped = case.folder(tmp_path, pipes=frozenset({"train", case.scored})).run()
        assert piped.returncode == 0, piped.err
        loaded = spec.engine_load().load(piped.model_dir, n_threads=1)
        _same(loaded.predict(case.X_test, verbose=True), predictor.predict(case.X_test, verbose=True))

    def test_a_label_column_anywhere_gives_the_same_model(
        self, case: AlgorithmCase, spec: AlgorithmSpec, predictor: Predictor, tmp_path: Path
    ) -> None:
        names = [f"feature {position}" for position in range(case.X.shape[1])]
        rows = np.column_stack((case.X, case.y)).tolist()
        text = ";".join([*names, "label"]) + "\n"
        text += "".join(";".join(f"{value:.9g}" for value in row) + "\n" for row in rows)
        schema = {
            "format": "csv",
            "columns": [*names, "label"],
            "types": ["fractional"] * (len(names) + 1),
            "delimiter": ";",
            "label": len(names),
        }
        result = case.folder(tmp_path, channels={"train": text}, schemas={"train": schema}).run()
        assert result.returncode == 0, result.err
        loaded = spec.engine_load().load(result.model_dir, n_threads=1)
        _same(loaded.predict(case.X_test, verbose=True), predictor.predict(case.X_test, verbose=True))

    # ---- the model

    def test_a_model_predicts_the_same_in_another_process(
        self, case: AlgorithmCase, predictor: Predictor, trained: JobResult, tmp_path: Path
    ) -> None:
        np.save(tmp_path / "X.npy", case.X_test)
        arguments = [
            case.algorithm,
            str(trained.model_dir),
            str(tmp_path / "X.npy"),
            str(tmp_path / "p.npz"),
        ]
        subprocess.run([sys.executable, "-c", _PREDICT, *arguments], cwd=PROJECT_ROOT, check=True)
        with np.load(tmp_path / "p.npz") as elsewhere:
            _same(dict(elsewhere), predictor.predict(case.X_test, verbose=True))

    def test_it_has_learned_something(self, case: AlgorithmCase, predictor: Predictor) -> None:
        predicted = answered(predictor.predict(case.X_test))
        constant = np.mean((case.y_test - case.y_test.mean()) ** 2)
        assert np.mean((predicted - case.y_test) ** 2) < constant / 2

    def test_a_row_predicts_the_same_alone_as_in_a_batch(
        self, case: AlgorithmCase, predictor: Predictor
    ) -> None:
        batch = predictor.predict(case.X_test, verbose=True)
        for row in range(len(case.X_test)):
            alone = predictor.predict(case.X_test[row : row + 1], verbose=True)
            _same(alone, {name: column[row : row + 1] for name, column in batch.items()})

    def test_a_prediction_has_one_entry_per_row(self, case: AlgorithmCase, predictor: Predictor) -> None:
        for n in (0, 1, len(case.X_test)):
            for column in predictor.predict(case.X_test[:n], verbose=True).values():
                assert len(column) == n

    def test_its_sample_row_can_be_predicted(self, case: AlgorithmCase, predictor: Predictor) -> None:
        assert predictor.n_features == case.X.shape[1]
        assert predictor.sample_row is not None
        assert (predictor.sample_row == case.X).all(axis=1).any()
        assert len(answered(predictor.predict(predictor.sample_row[None]))) == 1

    def test_a_wrong_number_of_columns_is_refused_with_both_numbers(
        self, case: AlgorithmCase, predictor: Predictor
    ) -> None:
        n = case.X.shape[1]
        for columns in (n - 1, n + 1):
            with pytest.raises(DataError, match=rf"{columns} columns.*{n}"):
                predictor.predict(np.zeros((2, columns), np.float32))

    def test_a_model_with_a_missing_file_is_refused(
        self, spec: AlgorithmSpec, trained: JobResult, tmp_path: Path
    ) -> None:
        for missing in trained.model_files:
            folder = tmp_path / "without" / missing
            for name in trained.model_files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                if name != missing:
                    (folder / name).write_bytes((trained.model_dir / name).read_bytes())
            with pytest.raises(ModelError, match=re.escape(Path(missing).name)):
                spec.engine_load().load(folder, n_threads=1)

    def test_a_model_with_a_damaged_file_is_refused(
        self, spec: AlgorithmSpec, trained: JobResult, tmp_path: Path
    ) -> None:
        for damaged in trained.model_files:
            folder = tmp_path / "damaged" / damaged
            for name in trained.model_files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                content = (trained.model_dir / name).read_bytes()
                (folder / name).write_bytes(content[: len(content) // 2] if name == damaged else content)
            with pytest.raises(ModelError):
                spec.engine_load().load(folder, n_threads=1)

    # ---- bad input

    def test_a_missing_feature_is_learned_from_or_fails_the_job_with_its_row_and_column(
        self, case: AlgorithmCase, tmp_path: Path
    ) -> None:
        lines = csv_text(case.X, case.y).splitlines()
        cells = lines[6].split(",")
        lines[6] = ",".join([*cells[:2], "", *cells[3:]])
        result = case.folder(tmp_path, channels={"train": "\n".join(lines) + "\n"}).run()
        if case.takes_missing:
            assert (result.returncode, result.err) == (0, "")
            return
        assert result.returncode == 1
        assert result.failure["kind"] == "data_error"
        assert (result.failure["row"], result.failure["column"]) == (7, "c2")
        assert result.failure_text.startswith("ClientError: row 7, column 'c2': ")
        assert result.model_files == []

    def test_text_in_a_number_column_fails_the_job_with_its_row_column_and_value(
        self, case: AlgorithmCase, tmp_path: Path
    ) -> None:
        lines = csv_text(case.X, case.y).splitlines()
        cells = lines[3].split(",")
        lines[3] = ",".join([cells[0], "setosa", *cells[2:]])
        result = case.folder(tmp_path, channels={"train": "\n".join(lines) + "\n"}).run()
        assert result.returncode == 1
        failure = result.failure
        assert (failure["kind"], failure["row"], failure["column"]) == ("data_error", 4, "c1")
        assert failure["value"] == "setosa"
        assert "train channel" in failure["message"]

    def test_a_row_of_another_length_fails_the_job_and_is_named(
        self, case: AlgorithmCase, tmp_path: Path
    ) -> None:
        text = csv_text(case.X, case.y) + "1,2\n"
        result = case.folder(tmp_path, channels={"train": text}).run()
        assert result.returncode == 1
        assert (result.failure["kind"], result.failure["row"]) == ("data_error", len(case.X) + 1)

    def test_a_missing_label_fails_the_job_with_its_row(self, case: AlgorithmCase, tmp_path: Path) -> None:
        lines = csv_text(case.X, case.y).splitlines()
        lines[1] = "," + lines[1].split(",", 1)[1]
        result = case.folder(tmp_path, channels={"train": "\n".join(lines) + "\n"}).run()
        assert result.returncode == 1
        assert (result.failure["kind"], result.failure["row"]) == ("data_error", 2)

    def test_an_empty_channel_fails_the_job(self, case: AlgorithmCase, tmp_path: Path) -> None:
        result = case.folder(tmp_path, channels={"train": ""}).run()
        assert result.returncode == 1
        assert result.failure["kind"] == "data_error"
        assert result.failure_text.startswith("ClientError: ")

    def test_a_test_channel_of_another_width_fails_the_job(self, case: AlgorithmCase, tmp_path: Path) -> None:
        train, narrow = csv_text(case.X, case.y), csv_text(case.X_test[:, 1:], case.y_test)
        result = case.folder(tmp_path, channels={"train": train, case.scored: narrow}).run()
        assert result.returncode == 1
        assert result.failure["kind"] == "data_error"
        assert str(case.X.shape[1] - 1) in result.failure["message"]
        assert result.model_files == []

    def test_an_unknown_hyperparameter_fails_the_job_before_it_reads_data(
        self, case: AlgorithmCase, spec: AlgorithmSpec, tmp_path: Path
    ) -> None:
        known = next(declared.name for declared in spec.hyperparameters if not declared.hidden)
        given = {**case.hyperparameters, f"{known}x": "1"}
        result = case.folder(tmp_path, hyperparameters=given).run()
        assert result.returncode == 1
        assert result.failure["kind"] == "client_error"
        assert result.failure_text.startswith(f"ClientError: hyperparameters.{known}x: ")
        assert f"did you mean '{known}'?" in result.failure_text
        assert "Traceback" not in result.err

    # ---- stopping

    def test_sigterm_ends_the_job_and_leaves_nothing(self, case: AlgorithmCase, tmp_path: Path) -> None:
        folder = case.folder(tmp_path, pipes=frozenset({"train"}))
        process = folder.start()
        with folder.pipe("train").open("w") as pipe:  # opens when the job has opened its end
            pipe.write(csv_text(case.X[:5], case.y[:5]))
            pipe.flush()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 143, out + err
        assert list((tmp_path / "model").iterdir()) == []
        assert not (tmp_path / "output" / "failure").exists()


class UnlabelledAlgorithmContract(AlgorithmContract):
    """What algorithms promise that do not look at labels. A subclass also says what it has learned."""

    def test_it_has_learned_something(self, case: AlgorithmCase, predictor: Predictor) -> None:
        raise NotImplementedError

    def test_a_missing_label_fails_the_job_with_its_row(self, case: AlgorithmCase, tmp_path: Path) -> None:
        """It does not: nobody looks at it."""
        lines = csv_text(case.X, case.y).splitlines()
        lines[1] = "," + lines[1].split(",", 1)[1]
        result = case.folder(tmp_path, channels={"train": "\n".join(lines) + "\n"}).run()
        assert (result.returncode, result.err) == (0, "")


def answered(prediction: Mapping[str, NDArray]) -> NDArray:
    """What is to be compared with labels; of what predicts none, its first answer."""
    return prediction.get("predicted_label", next(iter(prediction.values())))


def _same(left: Mapping[str, NDArray], right: Mapping[str, NDArray]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
