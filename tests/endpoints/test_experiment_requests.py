"""What is asked of an experiment: its grid, and everything a request can be wrong about."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from endpoints.models import Experiment, ExperimentCell
from endpoints.selectors.experiments import (
    experiment_get,
    experiment_list,
)
from endpoints.services.experiments import (
    experiment_create,
    experiment_delete,
    experiment_resume,
    experiment_stop,
)
from jobs.models import TrainingJob
from mlplatform.core.errors import (
    AccessDenied,
    Conflict,
    FieldError,
    InvalidRequest,
    LimitExceeded,
    NotFound,
)
from mlplatform.core.people.access import Actor
from tests.endpoints.conftest import IrisParts, TrainedModel
from tests.endpoints.experiment_stage import FLAT, IVF, Stage, cells_of
from tests.jobs.training.cast import dataset_make


@pytest.fixture
def stage(alice: Actor, iris: IrisParts, knn_iris: TrainedModel) -> Stage:
    return Stage.of(alice, iris, knn_iris)


def test_the_grid_goes_by_configuration_then_size_then_instance_type(stage: Stage) -> None:
    experiment = stage.create(sample_sizes=[50, 100])
    assert [str(cell) for cell in cells_of(experiment)] == [
        f"{name} {size} {kind}"
        for name in ("Flat", "IVF")
        for size in (50, 100)
        for kind in ("local.cpu", "ml.c5.xlarge")
    ]
    assert [cell.position for cell in cells_of(experiment)] == list(range(1, 9))
    assert Counter(cell.training_key for cell in cells_of(experiment)).most_common(9) == [
        (key, 2) for key in dict.fromkeys(cell.training_key for cell in cells_of(experiment))
    ]
    first = cells_of(experiment)[0]
    assert first.hyperparameters == {
        "predictor_type": "classifier",
        "k": "1",
        "index_type": "faiss.Flat",
        "sample_size": "50",
    }
    assert (experiment.train_reference, experiment.test_reference) == ("train@1", "test@1")


def test_a_configuration_may_have_hyperparameters_for_one_size_only(stage: Stage) -> None:
    special = {**IVF, "by_sample_size": {"100": {"faiss_index_ivf_nlists": 7}}}
    experiment = stage.create(configurations=[special], sample_sizes=[50, 100], instance_types=["local.cpu"])
    found = [cell.hyperparameters.get("faiss_index_ivf_nlists") for cell in cells_of(experiment)]
    assert found == [None, "7"]
    assert experiment.configurations[0]["by_sample_size"] == {"100": {"faiss_index_ivf_nlists": "7"}}


def test_without_sample_sizes_the_cells_have_the_one_of_the_hyperparameters(stage: Stage) -> None:
    shared = {"predictor_type": "classifier", "k": 1, "sample_size": 30}
    experiment = stage.create(hyperparameters=shared, sample_sizes=[])
    assert {cell.sample_size for cell in cells_of(experiment)} == {30}


@pytest.mark.parametrize("unserved", ["wait", "skip"])
def test_a_type_that_nobody_serves_is_told_at_once(stage: Stage, unserved: str) -> None:
    experiment = stage.create(instance_types=["local.cpu", "ml.p2.xlarge"], unserved=unserved)
    on_gpu = [cell for cell in cells_of(experiment) if cell.instance_type == "ml.p2.xlarge"]
    said = "no host serves queue gpu, which ml.p2.xlarge needs; start one with"
    if unserved == "wait":
        assert {cell.status for cell in on_gpu} == {"Pending"}
        assert all(cell.waiting.startswith(f"waits: {said}") for cell in on_gpu)
    else:
        assert {cell.status for cell in on_gpu} == {"Skipped"}
        assert all(cell.failure.startswith(said) for cell in on_gpu)
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize(
    ("algorithm", "shared", "varied"),
    [
        ("xgboost", {"objective": "multi:softprob", "num_class": 3, "num_round": 5}, "max_depth"),
        ("catboost", {"loss_function": "MultiClass"}, "depth"),
        ("linear-learner", {"predictor_type": "multiclass_classifier", "num_classes": 3}, "epochs"),
        ("random-forest", {"predictor_type": "classifier"}, "n_estimators"),
    ],
)
def test_other_algorithms_have_grids_without_sample_sizes(
    stage: Stage, algorithm: str, shared: dict[str, Any], varied: str
) -> None:
    experiment = stage.create(
        algorithm=algorithm,
        hyperparameters=shared,
        configurations=[{"name": f"n{n}", "hyperparameters": {varied: n}} for n in (2, 3)],
        sample_sizes=[],
    )
    assert [cell.hyperparameters[varied] for cell in cells_of(experiment)] == ["2", "2", "3", "3"]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": "../x"}, "name", "not a valid name"),
        ({"algorithm": "kmn"}, "algorithm", "kmn"),
        ({"algorithm": "kmeans"}, "algorithm", "predicts no label"),
        ({"preset": "knn"}, "preset", "knn-trade-off, knn-small"),
        ({"train": ""}, "train", "choose a dataset"),
        ({"train": "ghost"}, "train", "there is no dataset 'ghost'"),
        ({"test": "test@7"}, "test", "has no version"),
        ({"test": "narrow"}, "test", "has 2 feature columns; it must have 4"),
        ({"test": "unlabelled"}, "test", "has no label column"),
        ({"configurations": []}, "configurations", "at least one"),
        ({"configurations": [FLAT, FLAT]}, "configurations", "Flat is given 2 times"),
        (
            {"configurations": [FLAT, {**FLAT, "name": "Same"}]},
            "configurations.1",
            "trains the same as Flat",
        ),
        ({"configurations": [{**FLAT, "name": "two words"}]}, "configurations.0.name", "not a valid name"),
        ({"configurations": [{**FLAT, "name": "x" * 41}]}, "configurations.0.name", "1 to 40"),
        (
            {"configurations": [{"name": "A", "hyperparameters": {"index_type": "faiss.Nope"}}]},
            "configurations.0.hyperparameters.index_type",
            "faiss.Flat",
        ),
        (
            {"configurations": [{"name": "A", "hyperparameters": {"neighbours": 3}}]},
            "configurations.0.hyperparameters.neighbours",
            "no hyperparameter of this name",
        ),
        (
            {"hyperparameters": {"predictor_type": "classifier"}},
            "configurations.0.hyperparameters.k",
            "required",
        ),
        (
            {"hyperparameters": {"predictor_type": "oracle", "k": 1}},
            "hyperparameters.predictor_type",
            "oracle",
        ),
        (
            {"hyperparameters": {"predictor_type": "classifier", "k": 1, "feature_dim": 5}},
            "hyperparameters.feature_dim",
            "the 4 feature columns",
        ),
        (
            {"configurations": [{"name": "A", "hyperparameters": {"sample_size": 5}}]},
            "configurations.0.hyperparameters.sample_size",
            "is given by the sample sizes",
        ),
        (
            {"configurations": [{**IVF, "by_sample_size": {"100": {"faiss_index_ivf_nlists": 101}}}]},
            "configurations.0.by_sample_size.100.faiss_index_ivf_nlists",
            "101 clusters need as many rows",
        ),
        (
            {"configurations": [{**IVF, "by_sample_size": {"99": {}}}]},
            "configurations.0.by_sample_size.99",
            "none of the sample sizes (100)",
        ),
        ({"sample_sizes": [100, 100]}, "sample_sizes", "100 is given 2 times"),
        ({"sample_sizes": [0]}, "sample_sizes.0", "0 is not accepted"),
        ({"sample_sizes": [113]}, "sample_sizes.0", "113 exceeds the 112 rows"),
        ({"instance_types": []}, "instance_types", "at least one"),
        ({"instance_types": ["local.cpu", "ml.huge"]}, "instance_types.1", "ml.huge"),
        ({"instance_types": ["local.cpu"] * 2}, "instance_types", "local.cpu is given 2 times"),
        ({"training_instance_type": "ml.huge"}, "training_instance_type", "ml.huge"),
        ({"parallelism": 0}, "parallelism", "1 to 20"),
        ({"parallelism": 21}, "parallelism", "1 to 20"),
        ({"unserved": "cry"}, "unserved", "wait, skip"),
        ({"batches": 0}, "batches", "from 1"),
        ({"single_requests": -1}, "single_requests", "from 0"),
        ({"k_max": 0}, "k_max", "from 1"),
        ({"k_max": 2}, "k_max", "2 exceeds 1, the k of Flat"),
        ({"tags": {"": "x"}}, "tags.", "printable"),
    ],
)
def test_what_is_wrong_is_told_at_its_place_and_nothing_is_stored(
    stage: Stage, changes: dict[str, Any], field: str, words: str
) -> None:
    dataset_make(stage.alice, "narrow")
    dataset_make(stage.alice, "unlabelled", label=None, types=("fractional",) * 3, rows=[(1.0, 2.0, 3.0)])
    with pytest.raises(InvalidRequest) as refused:
        stage.create(**changes)
    said = {error.field: str(error.message) for error in refused.value.errors}
    assert words in said.get(field, ""), said
    assert not Experiment.objects.exists() and not TrainingJob.objects.exists()


def test_all_that_is_wrong_is_told_at_once_and_each_once(stage: Stage) -> None:
    with pytest.raises(InvalidRequest) as refused:
        stage.create(
            test="ghost",
            parallelism=0,
            instance_types=["ml.huge"],
            hyperparameters={"predictor_type": "oracle", "k": 1},
            sample_sizes=[50, 100],
        )
    fields = [error.field for error in refused.value.errors]
    assert sorted(fields) == ["hyperparameters.predictor_type", "instance_types.0", "parallelism", "test"]
    with pytest.raises(InvalidRequest) as refused:
        stage.create(hyperparameters={"predictor_type": "oracle", "k": 1}, sample_sizes=[50, 100])
    assert [error.field for error in refused.value.errors] == ["hyperparameters.predictor_type"]


def test_a_size_that_is_refused_is_told_once_and_hides_nothing_else(stage: Stage) -> None:
    stage.create()
    with pytest.raises(InvalidRequest) as refused:
        stage.create(
            configurations=[{**IVF, "by_sample_size": {"200000": {"faiss_index_ivf_nlists": 5}}}] * 2,
            sample_sizes=[200_000],
            k_max=999,
            wrong=[FieldError("batches", "1e3 is not a whole number")],
            batches="1e3",
        )
    fields = [error.field for error in refused.value.errors]
    assert sorted(fields) == ["batches", "configurations", "k_max", "name", "sample_sizes.0"]


def test_what_the_asker_found_wrong_is_enough_to_make_nothing(stage: Stage) -> None:
    with pytest.raises(InvalidRequest, match="no pair"):
        stage.create(wrong=[FieldError("configurations.0.more", "no pair")])
    assert not Experiment.objects.exists()


def test_ten_thousand_cells_are_a_quota_error_before_anything_else_is_looked_at(stage: Stage) -> None:
    many = [{"name": f"c{n}", "hyperparameters": {"k": n + 1}} for n in range(100)]
    with pytest.raises(LimitExceeded) as refused:
        stage.create(configurations=many, sample_sizes=list(range(1, 51)), train="ghost")
    said = refused.value.message
    assert (
        "may have 500 cells" in said
        and "100 configurations × 50 sample sizes × 2 instance types are 10,000" in said
    )
    assert not Experiment.objects.exists() and not ExperimentCell.objects.exists()


def test_an_empty_list_lets_no_number_of_others_through(stage: Stage) -> None:
    with pytest.raises(LimitExceeded, match="500 cells"):
        stage.create(configurations=[{**FLAT, "name": f"c{n}"} for n in range(501)], instance_types=[])


def test_of_very_many_sizes_that_are_not_there_the_first_are_told(stage: Stage) -> None:
    special = {**FLAT, "by_sample_size": {str(1000 + n): {} for n in range(1000)}}
    with pytest.raises(InvalidRequest) as refused:
        stage.create(configurations=[special], sample_sizes=list(range(1, 100)))
    errors = refused.value.errors
    assert 0 < len(errors) <= 20 and all(len(str(error.message)) < 200 for error in errors)


def test_the_limit_is_a_setting(stage: Stage, settings: Any) -> None:
    settings.MLPLATFORM_EXPERIMENT_CELLS_MAX = 4
    stage.create()
    settings.MLPLATFORM_EXPERIMENT_CELLS_MAX = 3
    with pytest.raises(LimitExceeded, match="may have 3 cells"):
        stage.create(name="second")


def test_a_name_is_taken_once_and_made_where_none_is_given(stage: Stage) -> None:
    stage.create()
    with pytest.raises(Conflict, match="already exists"):
        stage.create()
    assert stage.create(name=None).name.startswith("experiment-")


def test_viewers_look_and_others_see_nothing(stage: Stage, bob: Actor, charlie: Actor) -> None:
    stage.create()
    for act in (experiment_stop, experiment_resume, experiment_delete):
        with pytest.raises(AccessDenied):
            act(actor=bob, name="study")
        with pytest.raises(NotFound):
            act(actor=charlie, name="study")
    with pytest.raises(AccessDenied):
        stage.create(actor=bob, name="mine")
    assert experiment_get(actor=bob, name="study").n_cells == 4
    with pytest.raises(NotFound):
        experiment_get(actor=charlie, name="study")
    assert experiment_list(actor=charlie).count == 0


def test_a_preset_gives_what_is_left_out(stage: Stage) -> None:
    experiment = experiment_create(
        actor=stage.alice,
        name="small",
        preset="knn-trade-off",
        train="train",
        test="test",
        sample_sizes=[100],
        k_max=5,
        hyperparameters={"predictor_type": "classifier", "k": 5},
        configurations=[FLAT],
    )
    assert experiment.instance_types == ["ml.c5.xlarge", "ml.p2.xlarge"]
    assert (experiment.preset, experiment.single_requests, experiment.unserved) == (
        "knn-trade-off",
        2000,
        "wait",
    )
