"""Creating training jobs: what is accepted, and that everything wrong is said at once and leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jobs.instance_types import instance_type_get
from jobs.models import JobEvent, TrainingInput, TrainingJob
from jobs.selectors.instances import instance_type_usage
from jobs.services.channels import ChannelRequest
from jobs.services.inputs import job_spec, manifest_facts
from jobs.services.training import training_job_clone_request, training_job_create
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, LimitExceeded
from mlplatform.core.models import LogStream
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import KNN, Cast, dataset_make, job_make


def _refusal(cast: Cast, **changes: Any) -> dict[str, str]:
    """Field and message of everything that is wrong; checks that nothing was stored."""
    before = TrainingJob.objects.count(), LogStream.objects.count(), JobEvent.objects.count()
    with pytest.raises(InvalidRequest) as refused:
        job_make(cast.alice, **changes)
    assert before == (TrainingJob.objects.count(), LogStream.objects.count(), JobEvent.objects.count())
    return {error.field: error.message for error in refused.value.errors}


def _train(**request: Any) -> dict[str, Any]:
    return {"channels": {"train": ChannelRequest(**request)}}


def test_a_job_is_stored_pending_with_its_inputs_log_and_first_event(cast: Cast) -> None:
    job = job_make(cast.alice, "first", tags={"team": "検索"}, environment={"MY_FLAG": "1"})
    job.refresh_from_db()
    assert (job.status, job.secondary_status, job.attempt, job.queue) == ("InProgress", "Pending", 0, "cpu")
    assert [(given.channel, given.dataset_reference, given.content_type) for given in job.inputs.all()] == [
        ("train", "flags@1", "text/csv"),
        ("test", "flags@1", "text/csv"),
    ]
    assert [event.secondary_status for event in job.events.all()] == ["Pending"]
    assert job.log.n_bytes == 0
    assert job.tags == {"team": "検索"}


def test_hyperparameters_are_stored_as_the_text_the_service_gets(cast: Cast) -> None:
    job = job_make(cast.alice, hyperparameters={**KNN, "k": 3, "sample_size": 10.0})
    assert job.hyperparameters == {"k": "3", "predictor_type": "classifier", "sample_size": "10.0"}


def test_a_job_without_a_name_gets_one(cast: Cast) -> None:
    assert job_make(cast.alice, None).name.startswith("knn-2")


def test_a_viewer_cannot_create_a_training_job(cast: Cast) -> None:
    dataset_make(cast.alice)
    with pytest.raises(AccessDenied):
        job_make(cast.bob)
    assert not TrainingJob.objects.exists()


def test_everything_wrong_is_said_at_once(cast: Cast) -> None:
    wrong = _refusal(
        cast,
        name="../../etc",
        hyperparameters={"k": "0", "predictor_type": "oracle", "colour": "red"},
        channels={"train": ChannelRequest(dataset="nothing"), "validation": ChannelRequest(dataset="flags")},
        instance_type="ml.huge",
        instance_count=2,
        max_runtime_s=0,
        metric_definitions=[{"name": "loss", "regex": "("}],
        environment={"LD_PRELOAD": "x", "1X": "y"},
        tags={"": "x"},
    )
    assert set(wrong) == {
        "name",
        "instance_type",
        "instance_count",
        "metric_definitions[0].regex",
        "channels.validation",
        "channels.train.dataset",
        "hyperparameters.colour",
        "hyperparameters.sample_size",
        "hyperparameters.k",
        "hyperparameters.predictor_type",
        "max_runtime_s",
        "environment.LD_PRELOAD",
        "environment.1X",
        "tags.",
    }
    assert "'../../etc'" in wrong["name"]
    assert "ml.m5.large" in wrong["instance_type"]


@pytest.mark.parametrize("name", ["a" * 64, "-a", "a b", "a\0b", "..%2f", "ü", "a_b"])
def test_a_name_that_is_no_name_is_refused(cast: Cast, name: str) -> None:
    assert "letters" in _refusal(cast, name=name)["name"]


def test_an_unknown_algorithm_is_named(cast: Cast) -> None:
    assert "'kmeens'" in _refusal(cast, algorithm="kmeens")["algorithm"]


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"k": "21"}, "hyperparameters.k", "20"),
        ({"feature_dim": "3"}, "hyperparameters.feature_dim", "2"),
        (
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": "21"},
            "hyperparameters.faiss_index_ivf_nlists",
            "20",
        ),
    ],
)
def test_hyperparameters_are_checked_against_the_data(
    cast: Cast, given: dict[str, str], field: str, said: str
) -> None:
    assert said in _refusal(cast, hyperparameters={**KNN, **given})[field]


def test_a_hyperparameter_that_is_no_text_or_number_is_refused(cast: Cast) -> None:
    assert "list" in _refusal(cast, hyperparameters={**KNN, "k": [1]})["hyperparameters.k"]


def test_the_train_channel_is_required(cast: Cast) -> None:
    wrong = _refusal(cast, channels={"test": ChannelRequest(dataset="flags")})
    assert "required" in wrong["channels.train"]


def test_a_channel_needs_exactly_one_source(cast: Cast) -> None:
    assert "neither" in _refusal(cast, **_train())["channels.train"]
    assert "both" in _refusal(cast, **_train(dataset="flags", uri="s3://x/y"))["channels.train"]


def test_a_dataset_of_another_project_is_as_unknown_as_one_that_never_was(cast: Cast) -> None:
    dataset_make(cast.charlie, "secret")
    theirs = _refusal(cast, **_train(dataset="secret"))["channels.train.dataset"]
    nobodys = _refusal(cast, **_train(dataset="nobody"))["channels.train.dataset"]
    assert theirs.replace("secret", "nobody") == nobodys


def test_a_dataset_without_a_label_is_refused(cast: Cast) -> None:
    dataset_make(cast.alice, "bare", columns=("a", "b"), types=("fractional",) * 2, label=None, rows=[(1, 2)])
    assert "no label" in _refusal(cast, **_train(dataset="bare"))["channels.train.dataset"]


def test_text_in_feature_columns_is_refused_with_their_names(cast: Cast) -> None:
    dataset_make(
        cast.alice,
        "texts",
        columns=("city", "x", "y", "country"),
        types=("text", "fractional", "integral", "text"),
        label=2,
        rows=[("a", 1, 0, "b")],
    )
    said = _refusal(cast, **_train(dataset="texts"))["channels.train.dataset"]
    assert "'city', 'country'" in said
    assert said.endswith("remove the column and upload a new version")


def test_a_regressor_cannot_learn_labels_that_are_text(cast: Cast) -> None:
    values = {"k": "1", "sample_size": "2", "predictor_type": "regressor"}
    said = _refusal(cast, hyperparameters=values)["hyperparameters.predictor_type"]
    assert said.endswith("the label of the data is text: use classifier")


def test_the_test_channel_must_have_the_columns_of_train(cast: Cast) -> None:
    dataset_make(
        cast.alice, "wide", columns=("a", "b", "c", "flag"), types=("fractional",) * 3 + ("text",), label=3,
        rows=[(1, 2, 3, "no")],
    )  # fmt: skip
    channels = {"train": ChannelRequest(dataset="flags"), "test": ChannelRequest(dataset="wide")}
    said = _refusal(cast, channels=channels)["channels.test.dataset"]
    assert "has 3 feature columns; it must have 2" in said


def test_labels_that_are_numbers_do_not_go_with_labels_that_are_text(cast: Cast) -> None:
    dataset_make(cast.alice, "numbers", types=("fractional", "fractional", "integral"), rows=[(1, 2, 1)])
    channels = {"train": ChannelRequest(dataset="flags"), "test": ChannelRequest(dataset="numbers")}
    assert "must be text" in _refusal(cast, channels=channels)["channels.test.dataset"]


def test_a_version_is_chosen_with_an_at_sign(cast: Cast) -> None:
    dataset_make(cast.alice, "flags")
    dataset_make(cast.alice, "flags")
    assert job_make(cast.alice, **_train(dataset="flags@1")).inputs.get().dataset_reference == "flags@1"
    assert job_make(cast.alice, **_train(dataset="flags")).inputs.get().dataset_reference == "flags@2"
    assert "its latest is 2" in _refusal(cast, **_train(dataset="flags@7"))["channels.train.dataset"]


def test_objects_of_the_projects_own_bucket_can_be_a_channel(cast: Cast) -> None:
    address = uri(cast.alice.project.bucket, "tables/one.csv")
    object_store().put_bytes(b"1,2\n", address)
    assert job_make(cast.alice, **_train(uri=address)).inputs.get().uri == address
    folder = uri(cast.alice.project.bucket, "tables")
    assert job_make(cast.alice, **_train(uri=folder)).inputs.get().content_type == "text/csv"


@pytest.mark.parametrize(
    "address", ["/etc/passwd", "s3://other-bucket/key", "s3://{bucket}/../x", "s3://{bucket}/no"]
)
def test_an_address_elsewhere_is_refused(cast: Cast, address: str) -> None:
    given = address.replace("{bucket}", cast.alice.project.bucket)
    assert list(_refusal(cast, **_train(uri=given))) == ["channels.train.uri"]


def test_another_projects_bucket_is_refused_even_by_somebody_who_knows_it(cast: Cast) -> None:
    address = uri(cast.charlie.project.bucket, "tables/one.csv")
    object_store().put_bytes(b"1,2\n", address)
    assert "not this project's" in _refusal(cast, **_train(uri=address))["channels.train.uri"]


def test_modes_and_content_types_that_do_not_fit_are_refused(cast: Cast) -> None:
    assert (
        "File, Pipe"
        in _refusal(cast, **_train(dataset="flags", input_mode="FastFile"))["channels.train.input_mode"]
    )
    wrong = _refusal(cast, **_train(dataset="flags", content_type="application/jsonlines"))
    assert "text/csv" in wrong["channels.train.content_type"]


def test_rows_without_a_label_are_only_for_algorithms_that_look_at_none(cast: Cast) -> None:
    address = uri(cast.alice.project.bucket, "tables/one.csv")
    object_store().put_bytes(b"1,2\n3,4\n", address)
    given = _train(uri=address, content_type="text/csv; label_size=0")
    assert list(_refusal(cast, **given)) == ["channels.train.content_type"]
    job = job_make(cast.alice, algorithm="kmeans", hyperparameters={"k": "2"}, **given)
    spec = job_spec(job=job, attempt=1, root=Path("/"), n_threads=1, memory_limit_bytes=0, parent_pid=0)
    schema = spec.channels["train"].schema
    assert schema is not None and (schema["label"], schema["header"]) == (None, False)
    assert manifest_facts(job=job)["predictor_type"] is None


@pytest.mark.parametrize(
    ("algorithm", "given", "predictor_type"),
    [
        ("xgboost", {"num_round": "1", "objective": "binary:logistic"}, "classifier"),
        ("catboost", {"loss_function": "Logloss"}, "classifier"),
        ("linear-learner", {"predictor_type": "binary_classifier"}, "classifier"),
        ("random-forest", {"predictor_type": "classifier"}, "classifier"),
        ("ensemble", {"task": "classifier"}, "classifier"),
        ("knn", KNN, "classifier"),
    ],
)
def test_every_algorithms_model_says_what_it_predicts(
    cast: Cast, algorithm: str, given: dict[str, str], predictor_type: str
) -> None:
    job = job_make(cast.alice, algorithm=algorithm, hyperparameters=given)
    facts = manifest_facts(job=job)
    assert (facts["predictor_type"], facts["label_mapping"]) == (predictor_type, {"no": 0, "yes": 1})


def test_a_regression_of_text_labels_is_refused_before_anything_is_stored(cast: Cast) -> None:
    said = _refusal(cast, algorithm="xgboost", hyperparameters={"num_round": "1"})
    assert list(said) == ["hyperparameters.objective"]


def test_a_taken_name_is_a_conflict(cast: Cast) -> None:
    job_make(cast.alice, "taken")
    with pytest.raises(Conflict, match="'taken' already exists"):
        job_make(cast.alice, "taken")
    dataset_make(cast.charlie)
    assert job_make(cast.charlie, "taken").name == "taken"


def test_the_limit_of_an_instance_type_is_told_with_its_number(cast: Cast) -> None:
    limit = instance_type_get("ml.p2.xlarge").limit
    for _ in range(limit):
        job_make(cast.alice, instance_type="ml.p2.xlarge")
    assert instance_type_usage(project=cast.alice.project) == {"ml.p2.xlarge": limit}
    with pytest.raises(
        LimitExceeded, match=f"is {limit} instances, with current utilization of {limit} instances"
    ):
        job_make(cast.alice, instance_type="ml.p2.xlarge")
    TrainingJob.objects.filter(pk=TrainingJob.objects.first().pk).update(status="Stopped")  # type: ignore[union-attr]
    assert job_make(cast.alice, instance_type="ml.p2.xlarge").queue == "gpu"


def test_the_limit_is_the_projects_own(cast: Cast) -> None:
    for _ in range(instance_type_get("ml.p2.xlarge").limit):
        job_make(cast.alice, instance_type="ml.p2.xlarge")
    dataset_make(cast.charlie)
    assert job_make(cast.charlie, instance_type="ml.p2.xlarge").pk


def test_a_clone_request_creates_the_same_job_again(cast: Cast) -> None:
    job = job_make(
        cast.alice,
        "origin",
        metric_definitions=[{"name": "m", "regex": "m=(.*)"}],
        environment={"A": "1"},
        tags={"t": "v"},
        max_runtime_s=60,
        instance_type="ml.m5.large",
    )
    request = training_job_clone_request(actor=cast.alice, name="origin")
    channels = {name: ChannelRequest(**channel) for name, channel in request.pop("channels").items()}
    clone = training_job_create(actor=cast.alice, channels=channels, **request)
    same = ("hyperparameters", "metric_definitions", "environment", "tags", "max_runtime_s", "instance_type")
    assert all(getattr(clone, field) == getattr(job, field) for field in same)
    assert clone.cloned_from == "origin"
    assert clone.name != job.name
    assert [given.dataset_version_id for given in clone.inputs.all()] == [
        given.dataset_version_id for given in job.inputs.all()
    ]


def test_of_many_who_create_one_name_at_once_one_succeeds(threads_cast: Cast) -> None:
    dataset_make(threads_cast.alice)
    results: list[str] = []

    def create() -> None:
        try:
            job_make(threads_cast.alice, "wanted")
            results.append("created")
        except Conflict:
            results.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["conflict"] * 11 + ["created"]
    assert TrainingInput.objects.count() == 2
    assert LogStream.objects.count() == 1
