"""The form of a new experiment: what fills it, what it asks for, what is refused and kept."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from django.http import QueryDict

from endpoints.experiment_presets import preset_get
from endpoints.models import Experiment
from mlplatform.web.experiment_size import grid_size
from mlplatform.web.forms.experiment_errors import row_errors, shared_errors
from mlplatform.web.forms.experiments import ExperimentForm
from tests.jobs.training.cast import dataset_make
from tests.web.conftest import Visitor
from tests.web.experiments import Grid, experiment_make
from tests.web.reading import control, described, text_of

Form = dict[str, Any]


@pytest.fixture
def form(alice: Visitor) -> Form:
    """Two configurations × two sizes × one type on the dataset `flags` (20 rows, 2 features)."""
    dataset_make(alice.actor)
    return {
        "name": "first",
        "description": "",
        "preset": "",
        "algorithm": "knn",
        "train": "flags",
        "test": "flags",
        "configuration.name": ["Flat", "IVF", ""],
        "configuration.index_type": ["faiss.Flat", "faiss.IVFFlat", ""],
        "configuration.more": ["", "faiss_index_ivf_nlists=2, faiss_index_ivf_nlists@20=4", ""],
        "sample_sizes": "10, 20",
        "instance_types": ["local.cpu"],
        "unserved": "wait",
        "hp.k": "3",
        "hp.predictor_type": "classifier",
        "parallelism": "1",
        "k_max": "",
        "batches": "10",
        "single_requests": "20",
        "training_instance_type": "local.cpu",
    }


def posted(**values: Any) -> ExperimentForm:
    query = QueryDict(mutable=True)
    for name, value in ({"parallelism": "1", "batches": "1", "single_requests": "1"} | values).items():
        query.setlist(name.replace("__", "."), value if isinstance(value, list) else [value])
    return ExperimentForm.from_post(query)


def rows_error(page: str) -> list[str]:
    return re.findall(
        r'<p class="error">.*?<span>(.*?)</span></p>', page.partition('data-rows="list"')[2], re.S
    )


def test_the_form_makes_the_grid(alice: Visitor, form: Form) -> None:
    response = alice.post("experiment-new", form)
    assert response.status_code == 302, text_of(response)
    experiment = Experiment.objects.get(name="first")
    assert response["Location"] == alice.url("experiment-detail", name="first")
    assert experiment.configurations == [
        {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}},
        {
            "name": "IVF",
            "hyperparameters": {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": "2"},
            "by_sample_size": {"20": {"faiss_index_ivf_nlists": "4"}},
        },
    ]
    assert experiment.cells.count() == 4
    assert (experiment.batches, experiment.single_requests, experiment.k_max) == (10, 20, None)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("name", "../etc", "not a valid name"),
        ("train", "", "choose a dataset"),
        ("test", "nowhere", "nowhere"),
        ("sample_sizes", "10, 21", "exceeds the 20 rows"),
        ("sample_sizes", "ten", "not a whole number"),
        ("sample_sizes", "1,000", "without a separator"),
        ("parallelism", "0", "1"),
        ("parallelism", "many", "not a whole number"),
        ("k_max", "4000000", "4"),
        ("batches", "0", "1"),
        ("single_requests", "-1", "not a whole number"),
        ("hp.k", "", "required"),
        ("hp.k", "zero", "whole number"),
        ("hp.predictor_type", "", "required"),
    ],
)
def test_a_wrong_value_is_named_beside_its_field_and_everything_is_kept(
    alice: Visitor, form: Form, name: str, value: str, says: str
) -> None:
    response = alice.post("experiment-new", form | {name: value})
    assert response.status_code == 400
    page = text_of(response)
    assert says in described(page, name)
    assert 'value="first"' in page or name == "name"
    assert 'value="faiss_index_ivf_nlists=2, faiss_index_ivf_nlists@20=4"' in page
    assert 'value="local.cpu" checked' in page
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("faiss_index_ivf_nlists=999", "999"),
        ("nlists", "is not of the form name=value"),
        ("=5", "is not of the form name=value"),
        ("faiss_index_ivf_nlist=5", "did you mean"),
        ("faiss_index_ivf_nlists@20=999", "faiss_index_ivf_nlists@20"),
        ("faiss_index_ivf_nlists@77=5", "none of the sample sizes"),
    ],
)
def test_a_wrong_hyperparameter_is_named_in_its_row(alice: Visitor, form: Form, more: str, says: str) -> None:
    response = alice.post("experiment-new", form | {"configuration.more": ["", more, ""]})
    assert response.status_code == 400
    page = text_of(response)
    assert any(says in message for message in rows_error(page)), rows_error(page)
    assert f'value="{more}"' in page


def test_what_the_grid_lacks_is_said(alice: Visitor, form: Form) -> None:
    page = text_of(alice.post("experiment-new", form | {"instance_types": []}))
    assert "at least one instance type" in page
    empty = {f"configuration.{column}": [""] for column in ("name", "index_type", "more")}
    assert "at least one configuration" in text_of(alice.post("experiment-new", form | empty))
    twice = text_of(alice.post("experiment-new", form | {"configuration.name": ["Flat", "Flat", ""]}))
    assert "Flat is given 2 times" in twice


def test_ten_thousand_cells_are_refused_with_the_quota_before_anything_starts(
    alice: Visitor, form: Form
) -> None:
    sizes = " ".join(str(n) for n in range(1, 5001))
    response = alice.post("experiment-new", form | {"sample_sizes": sizes})
    assert response.status_code == 400
    assert "An experiment may have 500 cells" in text_of(response)
    assert not Experiment.objects.exists()


def test_a_name_that_is_taken_is_refused_at_the_name(alice: Visitor, form: Form) -> None:
    alice.post("experiment-new", form)
    response = alice.post("experiment-new", form)
    assert response.status_code == 409
    assert "already exists" in described(text_of(response), "name")


def test_all_that_can_be_known_to_be_wrong_is_said_at_once(alice: Visitor, form: Form) -> None:
    alice.post("experiment-new", form)
    wrong = {
        "configuration.name": ["Flat", "Flat", ""],
        "configuration.more": ["nonsense", "faiss_index_ivf_nlist=5", ""],
        "sample_sizes": "10, abc",
        "parallelism": "999",
        "batches": "1e3",
        "k_max": "999",
    }
    page = text_of(alice.post("experiment-new", form | wrong))
    assert "already exists" in described(page, "name")
    assert "Flat is given 2 times" in page
    assert "not a whole number" in described(page, "sample_sizes")
    assert "1 to 20" in described(page, "parallelism")
    assert "not a whole number" in described(page, "batches")
    assert "999 exceeds 3" in described(page, "k_max")
    said = " ".join(rows_error(page))
    assert "is not of the form name=value" in said and "did you mean" in said
    assert Experiment.objects.count() == 1


def test_another_algorithm_takes_nothing_along_that_it_does_not_know(alice: Visitor, form: Form) -> None:
    page = text_of(
        alice.post("experiment-new", form | {"algorithm": "xgboost", "k_max": "3", "intent": "algorithm"})
    )
    body = json.loads(shlex.split(re.search(r"<code data-copied>(.*?)</code>", page, re.S).group(1))[-1])  # type: ignore[union-attr]
    assert body["algorithm"] == "xgboost"
    assert not {"k", "predictor_type"} & set(body.get("hyperparameters", {}))
    assert not {"sample_sizes", "k_max"} & set(body)
    assert "index_type" not in json.dumps(body["configurations"])


def test_a_preset_fills_the_form_and_keeps_name_and_data(alice: Visitor, form: Form) -> None:
    page = text_of(alice.post("experiment-new", form | {"preset": "knn-trade-off", "intent": "preset"}))
    assert 'value="first"' in control(page, "name")
    assert '<option value="flags" selected>' in page
    assert 'value="200000, 500000"' in control(page, "sample_sizes")
    assert "faiss_index_ivf_nlists@500000=700" in page
    assert 'value="ml.p2.xlarge" checked' in page and 'value="local.cpu" checked' not in page
    assert "8 cells: 4 training jobs, 8 endpoints, 8 evaluations" in page
    assert not Experiment.objects.exists()


def test_the_small_preset_takes_the_sample_that_is_there(alice: Visitor) -> None:
    dataset_make(alice.actor, "iris-train")
    dataset_make(alice.actor, "iris-test")
    page = text_of(alice.get("experiment-new", {"preset": "knn-small"}))
    assert re.search(r'<option value="iris-train" selected>', page)
    assert re.search(r'<option value="iris-test" selected>', page)
    assert "3 cells: 3 training jobs, 3 endpoints, 3 evaluations" in page


def test_without_a_dataset_the_form_says_where_one_comes_from(alice: Visitor) -> None:
    page = text_of(alice.get("experiment-new", {"preset": "knn-small"}))
    assert f"{alice.url('dataset-new')}?from=sample" in page


def test_datasets_that_do_not_fit_say_why(alice: Visitor) -> None:
    dataset_make(alice.actor, "flags")
    dataset_make(alice.actor, "wide", columns=("a", "b", "c", "flag"), types=("fractional",) * 3 + ("text",), label=3,
                 rows=[(1.0, 2.0, 3.0, "x")])  # fmt: skip
    dataset_make(
        alice.actor, "bare", columns=("a", "b"), types=("fractional",) * 2, label=None, rows=[(1.0, 2.0)]
    )
    page = text_of(alice.get("experiment-new", {"train": "flags"}))
    test = page.partition('id="test"')[2].partition("</select>")[0]
    assert re.search(r'<option value="wide" disabled>wide \(1 × 4\) – 3 features, not 2</option>', test)
    assert re.search(r'<option value="bare" disabled>bare \(1 × 2\) – has no label column</option>', test)
    assert '<option value="flags">' in test


def test_the_choice_of_training_data_suggests_what_follows_from_it(alice: Visitor, form: Form) -> None:
    dataset_make(alice.actor, "more-train")
    dataset_make(alice.actor, "more-test")
    empty = {"train": "more-train", "test": "", "sample_sizes": "", "hp.predictor_type": "", "intent": "data"}
    page = text_of(alice.post("experiment-new", form | empty))
    assert 'value="20"' in control(page, "sample_sizes")
    assert '<option value="more-test" selected>' in page
    assert '<option value="classifier" selected>' in page
    assert "How many of the 20 training rows" in page


def test_the_preview_says_the_size_and_the_same_by_rest(alice: Visitor, form: Form) -> None:
    page = text_of(alice.post("experiment-new", form | {"intent": "preview"}))
    assert "4 cells: 4 training jobs, 4 endpoints, 4 evaluations" in page
    assert "4 cells wait until somebody serves local.cpu." in page  # no host is alive in this test
    body = json.loads(shlex.split(re.search(r"<code data-copied>(.*?)</code>", page, re.S).group(1))[-1])  # type: ignore[union-attr]
    assert body["sample_sizes"] == [10, 20]
    assert body["configurations"][1]["by_sample_size"] == {"20": {"faiss_index_ivf_nlists": "4"}}
    assert "<html" not in page


def test_an_experiment_can_be_run_again(alice: Visitor, form: Form) -> None:
    alice.post("experiment-new", form)
    page = text_of(alice.get("experiment-new", {"clone": "first"}))
    assert 'value="10, 20"' in control(page, "sample_sizes")
    assert 'value="faiss_index_ivf_nlists=2, faiss_index_ivf_nlists@20=4"' in page
    assert re.search(r'name="name" value="first-\d{4}', page)
    assert alice.get("experiment-new", {"clone": "nothing"}).status_code == 404


def test_one_whose_data_is_gone_still_fills_the_form(alice: Visitor) -> None:
    experiment_make(alice.actor, "old", Grid(values={"train_reference": "gone@1"}))
    assert re.search(
        r'<option value="gone" selected>', text_of(alice.get("experiment-new", {"clone": "old"}))
    )


def test_pairs_and_sizes_are_read_as_people_write_them() -> None:
    form = posted(
        configuration__name=["ｆｌａｔ", " "],
        configuration__index_type=["", ""],
        configuration__more=["a=1、b = 2\nc=3 d@１００=4 ; e=5", ""],
        sample_sizes="１００、 200 300,400",
        instance_types=["local.cpu"],
    )
    arguments = form.service_arguments()
    assert arguments["configurations"] == [
        {
            "name": "flat",
            "hyperparameters": {"a": "1", "b": "2", "c": "3", "e": "5"},
            "by_sample_size": {"100": {"d": "4"}},
        }
    ]
    assert arguments["sample_sizes"] == [100, 200, 300, 400]
    assert form.n_cells == 4


def test_a_preset_goes_through_the_form_and_back_unchanged() -> None:
    for name in ("knn-trade-off", "knn-small"):
        request = preset_get(name).request()
        form = ExperimentForm(name="x", train="a", test="b")
        form.fill(request)
        arguments = form.service_arguments()
        assert {key: arguments[key] for key in request} == request


def test_every_text_that_is_no_number_is_refused_at_once() -> None:
    form = posted(parallelism="x", batches="1.5", single_requests="", k_max="²", sample_sizes="1 two 007")
    fields = [error.field for error in form.service_arguments()["wrong"]]
    assert fields == ["sample_sizes.1", "sample_sizes.2", "parallelism", "batches", "single_requests"]


def test_the_size_says_what_is_missing_or_in_the_way() -> None:
    form = ExperimentForm(configurations=[{"name": "a", "index_type": "", "more": ""}], instance_types=[])
    assert grid_size(form, served=["cpu"], limit=500).notes[0].text == "Choose an instance type."
    form.instance_types = ["local.cpu", "ml.p2.xlarge"]
    form.unserved = "skip"
    size = grid_size(form, served=["cpu"], limit=500)
    assert size.sentence == "1 cell: 1 training job, 1 endpoint, 1 evaluation, and 1 skipped"
    assert grid_size(form, served=[], limit=500).sentence.startswith("0 cells: 0 training jobs")
    form.unserved = "wait"
    waits = grid_size(form, served=["cpu"], limit=500)
    assert waits.sentence == "2 cells: 1 training job, 2 endpoints, 2 evaluations"
    assert size.notes[-1].text == "1 cell is skipped unless somebody serves ml.p2.xlarge by then."
    assert grid_size(ExperimentForm(), served=[], limit=500).notes[0].text == "Add a configuration."


def test_the_size_says_when_the_quota_is_exceeded() -> None:
    form = ExperimentForm(
        configurations=[{"name": "a", "index_type": "", "more": ""}], instance_types=["local.cpu"]
    )
    assert not grid_size(form, served=["cpu"], limit=1).notes[0].blocks
    form.sample_sizes = "1 2"
    (note, *_others) = grid_size(form, served=["cpu"], limit=1).notes
    assert note.blocks and note.text == "An experiment may have 1 cell."


def test_errors_find_their_row_or_what_all_have_in_common() -> None:
    errors = {
        "configurations.0.hyperparameters.k": "is required",
        "configurations.1.hyperparameters.k": "is required",
        "configurations.1.by_sample_size.20.faiss_index_pq_m": "wrong",
        "configurations.10.name": "other row",
    }
    shared = shared_errors(errors, empty=["k", "predictor_type"], n_rows=2)
    assert shared["hyperparameters.k"] == "is required"
    assert row_errors(shared, 1) == {"more": "faiss_index_pq_m@20: wrong"}
    assert row_errors(shared, 0) == {}
    assert row_errors(errors, 0) == {"more": "k: is required"}


def test_a_viewer_gets_no_form(bob: Visitor) -> None:
    assert bob.get("experiment-new").status_code == 403
