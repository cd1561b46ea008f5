"""Real, unmodified scripts in real processes: what they are given, and what becomes of what they leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.datasets import load_diabetes, load_iris

from jobs.runner.isolation import OFF
from jobs.services.channels import ChannelRequest
from jobs.services.worker_state import WorkerState
from mlplatform.core.storage.objects import object_store
from tests.jobs.scripts.stage import (
    ENSEMBLE,
    SCRIPTS,
    archive_names,
    folder_files,
    log_of,
    run,
    script_job,
    table,
    texts,
)
from tests.jobs.training.cast import Cast
from tests.sandboxes import either_way, sandboxed

pytestmark = pytest.mark.slow
__all__ = ["either_way", "sandboxed"]

SHOW = """
import json, os, sys
print("ARGV " + json.dumps(sys.argv))
print("CWD " + os.getcwd())
print("PATH0 " + sys.path[0])
print("SM " + json.dumps({k: v for k, v in os.environ.items() if k.startswith("SM_")}))
print("CONFIG " + json.dumps({n: json.load(open(os.environ["SM_INPUT_CONFIG_DIR"] + "/" + n))
                             for n in sorted(os.listdir(os.environ["SM_INPUT_CONFIG_DIR"]))}))
print("FILES " + json.dumps(sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))))
print("STDIN " + repr(sys.stdin.read()))
import jobs_of_mine
from sagemaker_training.environment import Environment
from sagemaker_containers.beta.framework import training_env
print("ENV " + json.dumps([Environment().hyperparameters, training_env().channel_input_dirs, Environment().num_gpus]))
try:
    import jobs.runner
    print("PLATFORM visible")
except ImportError:
    print("PLATFORM hidden")
open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").write("w")
"""


def test_an_ensemble_of_two_libraries(threads_cast: Cast, worker: WorkerState) -> None:
    """The tutorial's script: k-fold scores in the log, both models in the artifact, the scores beside it."""
    text = load_diabetes(as_frame=True).frame.to_csv(index=False)
    n_bytes = table(threads_cast.alice, "diabetes", text, filename="diabetes.csv")
    job = run(
        script_job(
            threads_cast.alice,
            folder_files(ENSEMBLE),
            framework="xgboost",
            hyperparameters={"eta": 0.25, "max_depth": "4", "n_folds": 3, "num_round": 30},
            channels={"train": ChannelRequest(dataset="diabetes")},
            metric_definitions=[{"name": "validation:rmse", "regex": r"validation-rmse:([0-9\.]+)"}],
        ),
        worker,
    )
    log = log_of(job)
    assert job.status == "Completed", log
    assert "python train.py --eta 0.25 --max_depth 4 --n_folds 3 --num_round 30" in log
    assert "442 rows, 10 features; eta=0.25, max_depth=4" in log
    assert 50 < job.final_metrics["validation:rmse"] < 65
    assert set(archive_names(job.artifact_uri)) == {"manifest.json", "catboost.cbm", "xgboost.json"}
    assert archive_names(job.output_uri) == ["scores.json"]
    assert (job.algorithm, job.framework, job.input_bytes) == ("script", "xgboost", n_bytes)
    assert job.manifest is not None and job.manifest["framework"] == "xgboost"


def test_what_a_script_is_given(threads_cast: Cast, worker: WorkerState, either_way: str) -> None:
    table(threads_cast.alice, "small", "a,target\n1,2\n3,4\n", filename="small.csv")
    given = {"n-trees": 5, "lr": "0.10", "verbose": "true", "sizes": "[1, 2]", "a": '"text"', "b": "plain"}
    files = texts(train_py=SHOW, jobs_of_mine_py="")
    job = run(
        script_job(
            threads_cast.alice,
            files,
            framework="sklearn",
            hyperparameters={**given, "sagemaker_container_log_level": "10"},
            channels={"train": ChannelRequest(dataset="small")},
            environment={"MY_SETTING": "1"},
        ),
        worker,
    )
    log = log_of(job)
    assert job.status == "Completed", log
    said = dict(
        line.split(" ", 1) for line in log.splitlines() if line.split(" ")[0].isupper() and " " in line
    )
    root = Path(json.loads(said["SM"])["SM_MODEL_DIR"]).parent
    assert (str(root) == "/opt/ml") == (either_way != OFF)
    words = [
        "-a",
        "text",
        "-b",
        "plain",
        "--lr",
        "0.1",
        "--n-trees",
        "5",
        "--sizes",
        "[1, 2]",
        "--verbose",
        "True",
    ]
    assert json.loads(said["ARGV"]) == ["train.py", *words]
    assert said["CWD"] == said["PATH0"] == f"{root}/code"
    assert (said["PLATFORM"], said["STDIN"]) == ("hidden", "''")
    assert json.loads(said["FILES"]) == ["small.csv"]
    assert json.loads(said["ENV"])[1:] == [{"train": f"{root}/input/data/train"}, 0]
    assert json.loads(said["ENV"])[0]["n-trees"] == 5
    _variables_are_right(json.loads(said["SM"]), root, words, job.source.uri)  # type: ignore[union-attr]
    config = json.loads(said["CONFIG"])
    assert config["hyperparameters.json"]["sagemaker_program"] == '"train.py"'
    assert config["hyperparameters.json"]["lr"] == "0.10"
    assert config["inputdataconfig.json"]["train"]["TrainingInputMode"] == "File"
    assert config["resourceconfig.json"]["hosts"] == ["algo-1"]


def _variables_are_right(variables: dict[str, str], root: Path, words: list[str], code: str) -> None:
    expected = {
        "SM_MODEL_DIR": f"{root}/model",
        "SM_INPUT_DIR": f"{root}/input",
        "SM_INPUT_CONFIG_DIR": f"{root}/input/config",
        "SM_OUTPUT_DIR": f"{root}/output",
        "SM_OUTPUT_DATA_DIR": f"{root}/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{root}/output/intermediate",
        "SM_CHANNEL_TRAIN": f"{root}/input/data/train",
        "SM_CHANNELS": '["train"]',
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SM_NUM_GPUS": "0",
        "SM_NUM_NEURONS": "0",
        "SM_IS_HETERO": "false",
        "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_INSTANCE_GROUPS": '["homogeneousCluster"]',
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1"]',
        "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
        "SM_CURRENT_INSTANCE_TYPE": "local.cpu",
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": code,
        "SM_FRAMEWORK_MODULE": "sagemaker_sklearn_container.training:main",
        "SM_LOG_LEVEL": "10",
        "SM_HP_N-TREES": "5",
        "SM_HP_LR": "0.1",
        "SM_HP_VERBOSE": "true",
        "SM_HP_SIZES": "[1, 2]",
        "SM_HP_A": "text",
    }
    assert expected.items() <= variables.items()
    assert int(variables["SM_NUM_CPUS"]) >= 1
    assert json.loads(variables["SM_USER_ARGS"]) == words
    hyperparameters = {"a": "text", "b": "plain", "lr": 0.1, "n-trees": 5, "sizes": [1, 2], "verbose": True}
    assert json.loads(variables["SM_HPS"]) == hyperparameters
    whole = json.loads(variables["SM_TRAINING_ENV"])
    assert whole["hyperparameters"] == hyperparameters
    assert whole["channel_input_dirs"] == {"train": f"{root}/input/data/train"}
    assert (whole["job_name"], whole["is_master"]) == (whole["job_name"], True)
    assert json.loads(variables["SM_RESOURCE_CONFIG"])["current_host"] == "algo-1"
    assert "train" in json.loads(variables["SM_INPUT_DATA_CONFIG"])
    assert json.loads(variables["SM_FRAMEWORK_PARAMS"])["sagemaker_program"] == "train.py"


def test_a_script_of_sagemakers_examples(threads_cast: Cast, worker: WorkerState) -> None:
    """Written for another platform, it looks for its file by name and saves where the variables say."""
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "species"})
    table(threads_cast.alice, "iris", frame.to_csv(index=False), filename="iris.csv")
    job = run(
        script_job(
            threads_cast.alice,
            folder_files(SCRIPTS / "sklearn_iris"),
            framework="sklearn",
            hyperparameters={"n-estimators": 5},
            channels={"train": ChannelRequest(dataset="iris")},
            metric_definitions=[{"name": "accuracy", "regex": "train_accuracy=([0-9.]+);"}],
        ),
        worker,
    )
    assert job.status == "Completed", log_of(job)
    assert job.final_metrics["accuracy"] > 0.9
    assert archive_names(job.artifact_uri) == ["manifest.json", "model.joblib"]
    assert archive_names(job.output_uri) == ["columns.txt"]


def test_a_channel_in_pipe_mode(threads_cast: Cast, worker: WorkerState) -> None:
    """Read twice, it was fed twice: a FIFO per epoch."""
    text = "a,target\n" + "1,2\n" * 10
    table(threads_cast.alice, "small", text, filename="small.csv")
    script = """
        import os
        for epoch in range(2):
            with open(f"{os.environ['SM_CHANNEL_TRAIN']}_{epoch}") as pipe:
                print(epoch, len(pipe.read()))
        open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write("w")
    """
    channels = {"train": ChannelRequest(dataset="small", input_mode="Pipe")}
    job = run(script_job(threads_cast.alice, texts(train_py=script), channels=channels), worker)
    assert job.status == "Completed", log_of(job)
    assert job.input_bytes == 2 * len(text)


def test_a_shell_script_a_package_and_objects_under_a_prefix(threads_cast: Cast, worker: WorkerState) -> None:
    alice = threads_cast.alice
    for key in ("a.csv", "more/b.csv"):
        object_store().put_bytes(b"1,2\n", f"s3://{alice.project.bucket}/tables/{key}")
    channels = {"train": ChannelRequest(uri=f"s3://{alice.project.bucket}/tables/", content_type="text/csv")}
    shell = run(
        script_job(
            alice,
            {"train.sh": (SCRIPTS / "shell" / "train.sh").read_bytes()},
            entry_point="train.sh",
            hyperparameters={"b": "two words", "alpha": 1},
            channels={"train": ChannelRequest(uri=f"s3://{alice.project.bucket}/tables/a.csv")},
        ),
        worker,
    )
    assert shell.status == "Completed", log_of(shell)
    assert "hyperparameters: --alpha 1 -b two words" in log_of(shell) and "python 3" in log_of(shell)
    package = texts(
        setup_py="raise SystemExit('it is not run')",
        train_py="""
            import os
            from helpers.found import paths
            print(__name__, __package__ == "", paths(os.environ["SM_CHANNEL_TRAIN"]))
            open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write("w")
        """,
    ) | {
        "helpers/__init__.py": b"",
        "helpers/found.py": b"import os\n\n\ndef paths(folder):\n"
        b"    return sorted(os.path.relpath(os.path.join(p, n), folder) for p, _, ns in os.walk(folder) for n in ns)\n",
    }
    job = run(script_job(alice, package, channels=channels), worker)
    assert job.status == "Completed", log_of(job)
    assert "python -m train" in log_of(job)
    assert "__main__ True ['a.csv', 'more/b.csv']" in log_of(job)
    assert job.input_bytes == 8
