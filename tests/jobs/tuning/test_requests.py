"""What a request for a tuning job can be wrong about: each with its field and words, all at once, nothing stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobs.models import TuningJob
from jobs.services.channels import ChannelRequest
from jobs.services.scripts import ScriptRequest
from jobs.services.sources import source_create
from jobs.services.tuning import (
    TuningRequest,
    tuning_job_clone_request,
    tuning_job_create,
)
from mlplatform.core.errors import AccessDenied, Conflict, FieldError, InvalidRequest, LimitExceeded
from tests.jobs.training.cast import Cast
from tests.jobs.tuning.stage import Stage

ETA = {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3}
DEPTH = {"name": "max_depth", "type": "Integer", "min": 3, "max": 9}
BAND = {"min_resource": 1, "max_resource": 9, "resource": "num_round"}
HYPERBAND = {
    "strategy": "Hyperband",
    "hyperband": BAND,
    "static_hyperparameters": {"objective": "reg:squarederror"},
}
SCRIPT = b"import argparse\nprint('validation loss: 0.5')\n"


def refused(stage: Stage, **changes: Any) -> list[FieldError]:
    with pytest.raises(InvalidRequest) as caught:
        stage.create(**changes)
    assert not TuningJob.objects.exists()
    return list(caught.value.errors)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "a" * 40}, "name", f"has 40 characters; use at most 32, for instance '{'a' * 32}'"),
        ({"name": "-a"}, "name", "not a valid name"),
        ({"strategy": "Luck"}, "strategy", "use one of Bayesian, Random, Grid, Hyperband"),
        ({"objective_type": "Least"}, "objective_type", "use one of Minimize, Maximize"),
        ({"objective_metric": ""}, "objective_metric", "is missing"),
        ({"objective_metric": "rmse"}, "objective_metric", "nobody declares 'rmse'; use one of"),
        ({"ranges": []}, "ranges", "is empty"),
        ({"ranges": [ETA | {"min": 0.5}]}, "ranges.0.min", "0.5 is above max, 0.3"),
        ({"ranges": [ETA | {"name": "etta"}]}, "ranges.0.name", "did you mean 'eta'?"),
        ({"ranges": [ETA | {"max": 1.5}]}, "ranges.0.max", '"1.5" is not accepted; use a number from 0'),
        ({"ranges": [ETA | {"name": "booster"}]}, "ranges.0.name", "cannot be tuned; xgboost lets"),
        ({"ranges": [DEPTH | {"type": "Continuous"}]}, "ranges.0.type", "takes whole numbers; use Integer"),
        (
            {"ranges": [{"name": "max_depth", "type": "Categorical", "values": ["3", "deep"]}]},
            "ranges.0.values",
            '"deep" is not accepted',
        ),
        (
            {"static_hyperparameters": {"num_round": 9, "objective": "reg:squarederror", "eta": 0.1}},
            "static_hyperparameters.eta",
            "either static or tuned",
        ),
        (
            {"static_hyperparameters": {"num_round": "many"}},
            "static_hyperparameters.num_round",
            "is not accepted",
        ),
        ({"static_hyperparameters": {"num_rounds": 9}}, "static_hyperparameters.num_rounds", "did you mean"),
        ({"static_hyperparameters": {"num_round": [9]}}, "static_hyperparameters.num_round", "is a list"),
        ({"max_jobs": 0}, "max_jobs", "whole numbers from 1 to 750"),
        ({"max_jobs": 751}, "max_jobs", "from 1 to 750"),
        ({"max_jobs": 10_001, "strategy": "Random"}, "max_jobs", "from 1 to 10,000"),
        ({"max_jobs": None}, "max_jobs", "give it, max_runtime_s or a completion criterion"),
        ({"max_parallel_jobs": 5}, "max_parallel_jobs", "5 is more than max_jobs, 4"),
        ({"max_jobs": 50, "max_parallel_jobs": 11}, "max_parallel_jobs", "from 1 to 10"),
        ({"max_runtime_s": 31 * 86400}, "max_runtime_s", "from 1 to 2,592,000"),
        ({"job_max_runtime_s": 0}, "job_max_runtime_s", "whole seconds"),
        ({"instance_count": 2}, "instance_count", "1 instance"),
        ({"instance_type": "ml.huge"}, "instance_type", "ml.huge"),
        ({"random_seed": -1}, "random_seed", "from 0"),
        ({"early_stopping": "On"}, "early_stopping", "use one of Off, Auto"),
        ({"hyperband": BAND}, "hyperband", "goes with the strategy Hyperband only"),
        (HYPERBAND | {"early_stopping": "Auto"}, "early_stopping", "use Off with it"),
        (HYPERBAND | {"hyperband": None}, "hyperband", "give min_resource and max_resource"),
        (HYPERBAND | {"hyperband": BAND | {"min_resource": 9}}, "hyperband.min_resource", "9 is not below"),
        (HYPERBAND | {"hyperband": BAND | {"max_resource": None}}, "hyperband.max_resource", "None"),
        (
            HYPERBAND | {"hyperband": BAND | {"reduction_factor": 1}},
            "hyperband.reduction_factor",
            "from 2 to 10",
        ),
        (
            HYPERBAND | {"hyperband": BAND | {"resource": "epochs"}},
            "hyperband.resource",
            "has no hyperparameter",
        ),
        (
            HYPERBAND | {"hyperband": BAND | {"resource": "eta"}},
            "hyperband.resource",
            "is set to max_resource",
        ),
        (HYPERBAND | {"hyperband": BAND | {"more": 1}}, "hyperband.more", "not a field of Hyperband"),
        ({"completion": {"target_value": "low"}}, "completion.target_value", "not a number"),
        ({"completion": {"max_jobs_not_improving": 0}}, "completion.max_jobs_not_improving", "from 1"),
        ({"completion": {"on_convergence": "yes"}}, "completion.on_convergence", "neither true nor false"),
        ({"completion": {"patience": 3}}, "completion.patience", "not a completion criterion"),
        ({"algorithm": "xgbost"}, "algorithm", "did you mean 'xgboost'?"),
        ({"algorithm": "script"}, "script", "is required"),
        (
            {"channels": {"train": ChannelRequest(dataset="ghost")}},
            "channels.train.dataset",
            "no dataset 'ghost'",
        ),
        (
            {"metric_definitions": [{"name": "m", "regex": "("}]},
            "metric_definitions[0].regex",
            "is not accepted",
        ),
        ({"environment": {"PATH": "/"}}, "environment.PATH", "set by the platform"),
        ({"tags": {"": "x"}}, "tags.", "not a tag name"),
        ({"wrong": [FieldError("max_jobs", "is no number")]}, "max_jobs", "is no number"),
        ({"warm_start": {"type": "Copy", "parents": ["a"]}}, "warm_start.type", "use one of Identical"),
        (
            {"warm_start": {"type": "TransferLearning", "parents": ["ghost"]}},
            "warm_start.parents.0",
            "there is no tuning job 'ghost'",
        ),
        ({"warm_start": {"type": "TransferLearning", "parents": []}}, "warm_start.parents", "use 1 to 5"),
        (
            {"warm_start": {"type": "TransferLearning", "parents": "a"}},
            "warm_start.parents",
            "must be the names",
        ),
    ],
)
def test_what_is_wrong_is_named(stage: Stage, changes: dict[str, Any], field: str, words: str) -> None:
    errors = refused(stage, **changes)
    mine = [error.message for error in errors if error.field == field]
    assert mine and words in mine[0], errors


def test_everything_that_is_wrong_is_said_at_once(stage: Stage) -> None:
    errors = refused(stage, max_jobs=0, ranges=[ETA | {"min": 9}, DEPTH | {"max": 2}], objective_metric="x")
    assert [error.field for error in errors] == [
        "objective_metric",
        "ranges.0.min",
        "ranges.1.min",
        "max_jobs",
    ]


def test_a_grid_of_a_billion_points_is_refused_with_its_size(stage: Stage) -> None:
    fine = [
        ETA | {"name": name, "min": 0.0, "max": 0.999, "step": 0.001}
        for name in ("eta", "colsample_bytree", "subsample")
    ]
    errors = refused(stage, strategy="Grid", ranges=fine, max_jobs=None)
    said = "the grid has 1,000,000,000 points; at most 750 can be tried: use fewer values, or larger steps"
    assert FieldError("ranges", said) in errors


def test_a_grid_may_be_tried_in_part_but_not_in_more_than_it_has(stage: Stage) -> None:
    ranges = [DEPTH | {"max": 5}]
    errors = refused(stage, strategy="Grid", ranges=ranges, max_jobs=4)
    assert errors[0].message == "4 is more than the 3 points of the grid; leave it out to try all of them"
    assert stage.create(strategy="Grid", ranges=ranges, max_jobs=2).max_jobs == 2


def test_a_range_outside_what_the_data_allows_is_refused_with_its_end(stage: Stage) -> None:
    knn = {
        "algorithm": "knn",
        "objective_metric": "test:mse",
        "static_hyperparameters": {"predictor_type": "regressor", "sample_size": 30, "feature_dim": 2},
        "channels": {"train": ChannelRequest(dataset="train"), "test": ChannelRequest(dataset="validation")},
    }
    errors = refused(stage, ranges=[{"name": "k", "type": "Integer", "min": 1, "max": 99}], **knn)
    assert errors[0].field.startswith("ranges.0")
    assert stage.create(ranges=[{"name": "k", "type": "Integer", "min": 1, "max": 9}], **knn)


def test_a_taken_name_is_a_conflict_and_a_long_one_gets_another_tail(stage: Stage) -> None:
    stage.create(name="a" * 32)
    with pytest.raises(Conflict, match="already exists"):
        stage.create(name="a" * 32)
    with pytest.raises(InvalidRequest, match=f"for instance '{'a' * 27}-"):
        stage.create(name="a" * 33)


def test_who_may_only_look_makes_none(cast: Cast, stage: Stage) -> None:
    with pytest.raises(AccessDenied):
        tuning_job_create(actor=cast.bob, request=stage.request())


def test_only_so_many_are_under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.services.tuning.ACTIVE_MAX", 1)
    stage.create()
    with pytest.raises(LimitExceeded, match="1 tuning jobs under way"):
        stage.create(name="another")


def test_the_limit_of_jobs_at_a_time_is_the_operators(stage: Stage, settings: Any) -> None:
    settings.MLPLATFORM_TUNING_PARALLEL_MAX = 1000
    assert "from 1 to 100" in refused(stage, max_jobs=200, max_parallel_jobs=101)[0].message
    assert stage.create(max_jobs=200, max_parallel_jobs=100)


def test_without_a_name_it_gets_a_short_one(stage: Stage) -> None:
    job = stage.create(name=None, random_seed=None)
    assert job.name.startswith("tuning-") and len(job.name) <= 32 and job.random_seed >= 0


def test_versions_are_pinned_and_auto_scaling_is_decided(stage: Stage) -> None:
    job = stage.create(ranges=[ETA | {"min": 0.001}, DEPTH | {"scaling": "Linear"}])
    assert job.channels["train"]["dataset"] == "train@1"
    assert [found.get("chosen") for found in job.ranges] == ["Logarithmic", None]


def test_a_clone_asks_for_the_same_again(stage: Stage) -> None:
    job = stage.create(**HYPERBAND, completion={"target_value": 0.1}, tags={"team": "red"})
    again = tuning_job_clone_request(actor=stage.alice, name="search")
    assert again["name"] != "search" and len(again["name"]) <= 32
    channels = {name: ChannelRequest(**channel) for name, channel in again["channels"].items()}
    copy = tuning_job_create(actor=stage.alice, request=TuningRequest(**{**again, "channels": channels}))
    same = ("ranges", "hyperband", "static_hyperparameters", "channels", "completion", "tags", "random_seed")
    assert [getattr(copy, name) for name in same] == [getattr(job, name) for name in same]


# ---- scripts


def test_a_script_takes_any_hyperparameter_and_needs_its_metric_defined(stage: Stage) -> None:
    source = source_create(actor=stage.alice, files={"train.py": SCRIPT})
    script = ScriptRequest(framework="python", entry_point="train.py", source=source.uid)
    asked: dict[str, Any] = {
        "algorithm": "script",
        "script": script,
        "static_hyperparameters": {"epochs": 3},
        "ranges": [ETA | {"name": "lr"}],
        "objective_metric": "loss",
    }
    assert "define it with a regular expression" in refused(stage, **asked)[0].message
    wrong = replace(script, entry_point="tain.py")
    assert refused(stage, **(asked | {"script": wrong, "objective_metric": "loss"}))[0].field.startswith(
        "script"
    )
    definitions = [{"name": "loss", "regex": "validation loss: ([0-9.]+)"}]
    stage.value = lambda job: None
    job = stage.create(**asked, metric_definitions=definitions)
    assert (job.algorithm, job.framework, job.entry_point) == ("script", "python", "train.py")
    stage.turn()
    trial = job.trials.select_related("training_job__source").first()
    assert trial is not None and trial.training_job is not None
    assert trial.training_job.source == source
    assert trial.training_job.hyperparameters == {"epochs": "3", **trial.parameters}


# ---- warm start


def test_parents_must_fit(stage: Stage) -> None:
    parent = stage.create()
    warm = {"type": "TransferLearning", "parents": ["search"]}

    def said(**changes: Any) -> str:
        with pytest.raises(InvalidRequest) as caught:
            stage.create(**({"name": "child", "warm_start": warm} | changes))
        return str(caught.value.message)

    assert "is InProgress; use one that has ended" in said()
    stage.value = lambda job: None
    stage.run(parent)
    assert "nothing to take over" in said()
    TuningJob.objects.all().delete()
    stage.value = Stage.__dataclass_fields__["value"].default  # type: ignore[assignment]
    stage.run(stage.create())
    assert "another objective: Minimize validation:rmse" in said(objective_type="Maximize")
    assert "max_depth is in one of the two only" in said(ranges=[ETA])
    assert "eta is Continuous in tuning job 'search', and Categorical here" in said(
        ranges=[{"name": "eta", "type": "Categorical", "values": ["0.2", "0.3"]}, DEPTH]
    )
    assert "the strategy Grid tries every point" in said(
        strategy="Grid", ranges=[ETA | {"step": 0.05}, DEPTH], max_jobs=4
    )
    assert "no trial of search has a value and lies within the ranges" in said(
        ranges=[ETA | {"min": 0.9, "max": 1.0}, DEPTH]
    )
    identical = {"type": "IdenticalDataAndAlgorithm", "parents": ["search"]}
    other = {name: ChannelRequest(dataset="train") for name in ("train", "validation")}
    assert "trained with other data; use TransferLearning" in said(warm_start=identical, channels=other)
    assert stage.create(name="child", warm_start=warm, channels=other).warm_trials
    fixed = {"num_round": 10, "objective": "reg:squarederror", "max_depth": 4}
    moved = stage.create(name="moved", warm_start=warm, ranges=[ETA], static_hyperparameters=fixed)
    assert {row["parameters"].keys() == {"eta"} for row in moved.warm_trials} == {True}
