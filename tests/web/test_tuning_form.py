"""The form of a new tuning job: what fills it, what it asks for, what is refused and kept."""

from __future__ import annotations

import json
import re
import shlex
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict

from jobs.algorithms.registry import algorithm_get
from jobs.models import TuningJob
from jobs.pricing import Price
from jobs.selectors.tuning_forecast import TypicalJob
from jobs.services.scripts import ScriptRequest
from jobs.services.sources import source_create
from jobs.services.training import ChannelRequest, training_job_create
from mlplatform.core.errors import FieldError
from mlplatform.web.forms.tuning_errors import errors_below, rows_with_errors, with_labels
from mlplatform.web.forms.tuning_jobs import TuningJobForm
from mlplatform.web.forms.tuning_rows import ParameterRow, fixed_of
from mlplatform.web.tuning_fields import default_name, metric_choices
from mlplatform.web.tuning_size import grid_points, rungs_of, tuning_size
from tests.jobs.training.cast import dataset_make
from tests.web.conftest import Visitor
from tests.web.reading import text_of
from tests.web.tuning import Trials, tuning_make

Form = dict[str, Any]
ETA = ParameterRow(name="eta", kind="Continuous", min="0.1", max="0.5")
DEPTH = ParameterRow(name="max_depth", kind="Integer", min="2", max="8", step="2")
BOOSTER = ParameterRow(name="booster", kind="Categorical", values="gbtree, dart")
ROUNDS = ParameterRow(name="num_round", value="10")


def columns(*rows: ParameterRow) -> Form:
    names = ("name", "kind", "value", "min", "max", "step", "scaling", "values")
    return {f"param.{name}": [getattr(row, name) for row in rows] for name in names}


def amounts(visitor: Visitor) -> None:
    """The dataset `flags` with numbers as labels."""
    rows = [(n, n % 3, n / 7) for n in range(20)]
    dataset_make(visitor.actor, rows=rows, types=("fractional", "fractional", "fractional"))


@pytest.fixture
def form(alice: Visitor) -> Form:
    """XGBoost on twenty rows: eta and max_depth are searched, four trials."""
    amounts(alice)
    return {
        "name": "first",
        "algorithm": "xgboost",
        "channel.train.dataset": "flags",
        "channel.validation.dataset": "flags",
        "objective_metric": "validation:rmse",
        "objective_type": "",
        "strategy": "Bayesian",
        "max_jobs": "4",
        "max_parallel_jobs": "2",
        "job_max_runtime_s": "3600",
        "early_stopping": "Off",
        "instance_type": "local.cpu",
        **columns(ETA, DEPTH, ROUNDS, ParameterRow()),
    }


def posted(form: Form) -> TuningJobForm:
    query = QueryDict(mutable=True)
    for name, value in form.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    return TuningJobForm.from_post(query)


def body_of(page: str) -> Any:
    """The JSON of the curl command on the page."""
    import html

    command = html.unescape(re.search(r"<code data-copied>(curl .*?)</code>", page, re.S).group(1))  # type: ignore[union-attr]
    words = shlex.split(command.replace("\\\n", " "))
    return json.loads(words[words.index("-d") + 1])


def test_what_is_typed_becomes_the_request(form: Form) -> None:
    form |= {"target_value": "０.５", "random_seed": "７", "max_runtime_s": "60"}
    request = posted(form).request()
    assert request.ranges == [
        {"name": "eta", "type": "Continuous", "scaling": "Auto", "min": 0.1, "max": 0.5},
        {"name": "max_depth", "type": "Integer", "scaling": "Auto", "min": 2, "max": 8, "step": 2},
    ]
    assert request.static_hyperparameters == {"num_round": "10"}
    assert (request.max_jobs, request.max_parallel_jobs, request.random_seed) == (4, 2, 7)
    assert request.completion == {"target_value": 0.5}
    assert (request.hyperband, request.warm_start, request.script) == (None, None, None)
    assert request.wrong == ()


def test_what_is_no_number_is_told_with_its_place(form: Form) -> None:
    wrong = [
        ParameterRow(name="a", value="1"),
        ParameterRow(name="b", kind="Integer", min="1.5", max="x"),
        ParameterRow(name="c", kind="Continuous", min="", max="inf"),
    ]
    form |= {"max_jobs": "many", "target_value": "good", "tags": "no pair", **columns(*wrong)}
    found = [error.field for error in posted(form).request().wrong]
    assert found == [
        "ranges.0.min", "ranges.0.max", "ranges.1.min", "ranges.1.max", "max_jobs", "completion.target_value", "tags",
    ]  # fmt: skip


def test_a_hyperparameter_is_given_once() -> None:
    errors: list[FieldError] = []
    assert fixed_of([ParameterRow(name="a", value="1"), ParameterRow(name="a", value="2")], errors) == {
        "a": "2"
    }
    assert [error.field for error in errors] == ["static_hyperparameters.a"]


def test_hyperband_sets_its_resource_itself(form: Form) -> None:
    form |= {"strategy": "Hyperband", "resource": "num_round", "min_resource": "1", "max_resource": "9"}
    request = posted(form).request()
    assert request.static_hyperparameters == {}
    assert request.hyperband == {"min_resource": 1, "max_resource": 9, "resource": "num_round"}
    assert posted(form | {"strategy": "Random"}).request().hyperband is None


def test_a_script_keeps_its_channels_and_source(form: Form) -> None:
    form |= {
        "algorithm": "script",
        "script.framework": "xgboost",
        "script.entry_point": "train.py",
        "script.source": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "channel_row.name": ["train", "extra", ""],
        "channel_row.dataset": ["flags", "", ""],
        "channel_row.uri": ["", "s3://bucket/key", ""],
        "channel_row.content_type": ["", "text/csv", ""],
        "channel_row.input_mode": ["File", "File", "File"],
    }
    request = posted(form).request()
    assert request.script is not None and request.script.entry_point == "train.py"
    assert set(request.channels) == {"train", "extra"}
    call = posted(form).api_call(base_url="http://x", project="alpha")
    assert '"script"' in call and '"algorithm"' not in call


def test_errors_stand_at_their_rows() -> None:
    rows = [ROUNDS, ETA, DEPTH]
    errors = {
        "ranges.0.min": "too small",
        "ranges.1.name": "unknown",
        "ranges.1.values": "none",
        "static_hyperparameters.num_round": "no number",
        "hyperparameters.objective": "is required",
        "ranges": "too many points",
        "name": "taken",
    }
    placed, missing = rows_with_errors(rows, errors)
    assert [problems for _row, problems in placed] == [
        {"value": "no number"},
        {"min": "too small"},
        {"name": "unknown none"},
    ]
    assert missing == ["objective: is required", "too many points"]
    assert errors_below({"warm_start.parents": "a", "warm_start": "b", "warm": "c"}, "warm_start") == "a b"


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        ([DEPTH, BOOSTER], 8),
        ([ETA], None),
        ([ParameterRow(kind="Continuous", min="0", max="1", step="0.25")], 5),
    ],
)
def test_the_size_of_a_grid(rows: list[ParameterRow], points: int | None) -> None:
    assert grid_points(rows) == points


def said(form: TuningJobForm, typical: TypicalJob | None = None, price: Price | None = None) -> str:
    size = tuning_size(form, typical=typical, price=price)
    return " ".join([size.sentence, *(note.text for note in size.notes)])


def test_the_summary_says_what_will_be_done() -> None:
    form = TuningJobForm(rows=[DEPTH, BOOSTER], strategy="Grid", max_jobs="")
    assert "8 training jobs, 2 at a time" in said(form) and "4 × 2 = 8 points" in said(form)
    form.rows = [ETA, BOOSTER]
    assert "give eta values, or bounds with a step" in said(form)
    form = TuningJobForm(rows=[ETA], max_jobs="")
    assert "As many training jobs as the limits allow" in said(form)
    assert "Nothing to tune yet" in said(TuningJobForm())
    form = TuningJobForm(
        rows=[ETA], strategy="Hyperband", min_resource="1", max_resource="27", resource="num_round"
    )
    assert rungs_of(form) == [1, 3, 9, 27]
    assert "after 1, 3, 9 steps" in said(form) and "num_round is the resource" in said(form)


def test_the_forecast_is_of_earlier_jobs_and_the_price_of_now() -> None:
    form = TuningJobForm(rows=[ETA], max_jobs="10", max_parallel_jobs="2", instance_type="ml.c5.large")
    words = said(form, TypicalJob(36.0, 5), Price(Decimal("0.1"), "USD"))
    assert "About 3 min 0 s if each takes 36 s, as the last 5 jobs" in words
    assert "About 0.01 USD at 0.1 USD an hour" in words
    assert "0.1 USD for each hour" in said(form, None, Price(Decimal("0.1"), "USD"))


def test_a_name_fits_the_service() -> None:
    from datetime import UTC, datetime

    name = default_name("日本-a-very-long-name-of-a-training-job", datetime(2026, 11, 30, tzinfo=UTC))
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", name)


def test_the_page_begins_with_ranges_that_the_algorithm_declares(alice: Visitor) -> None:
    amounts(alice)
    page = alice.get("tuning_job_new", {"algorithm": "xgboost", "train": "flags"})
    form = page.context["form"]
    assert [row.kind for row in form.rows][:2] == ["Continuous", "Integer"]
    assert form.objective_metric in {one.name for one in page.context["metrics"]}
    assert form.objective_type in ("Minimize", "Maximize")
    assert body_of(text_of(page))["algorithm"] == "xgboost"


def test_a_training_job_fills_everything(alice: Visitor) -> None:
    trial = tuning_make(alice.actor).trials.get(number=1)
    form = alice.get("tuning_job_new", {"job": trial.job_name}).context["form"]
    assert form.algorithm == "xgboost" and form.instance_type == "local.cpu"
    assert {row.name for row in form.rows} >= {"num_round", "eta", "max_depth", "booster"}
    assert form.ranges and len(form.name) <= 32


def test_another_algorithm_begins_again_and_the_preview_follows(alice: Visitor, form: Form) -> None:
    answer = alice.post("tuning_job_new", form | {"intent": "algorithm", "algorithm": "knn"})
    assert {row.name for row in answer.context["form"].rows} & {"eta", "max_depth"} == set()
    preview = text_of(alice.post("tuning_job_new", form | {"intent": "preview"}))
    assert "4 training jobs, 2 at a time" in preview and "<html" not in preview
    assert body_of(preview)["ranges"][0]["name"] == "eta"
    assert not TuningJob.objects.exists()


def test_the_form_makes_a_tuning_job_and_a_clone_asks_for_the_same(alice: Visitor, form: Form) -> None:
    answer = alice.post("tuning_job_new", form)
    assert answer.status_code == 302, answer.context["errors"]
    assert answer["Location"] == alice.url("tuning_job", name="first")
    made = TuningJob.objects.get(name="first")
    assert made.objective_type == "Minimize" and made.max_jobs == 4
    clone = alice.get("tuning_job_new", {"clone": "first"}).context["form"]
    again, asked = clone.request(), posted(form).request()
    assert [one["name"] for one in again.ranges] == [one["name"] for one in asked.ranges]
    assert again.static_hyperparameters == asked.static_hyperparameters
    assert clone.name != "first"


def test_what_is_refused_is_said_at_its_row_and_everything_is_kept(alice: Visitor, form: Form) -> None:
    rows = [ParameterRow(name="eta", kind="Continuous", min="0.5", max="0.1"), BOOSTER]
    answer = alice.post(
        "tuning_job_new", form | columns(*rows) | {"objective_metric": "nobody", "max_jobs": "x"}
    )
    assert answer.status_code == 400
    page = text_of(answer)
    problems = [problems for _row, problems in answer.context["rows"]]
    assert problems[0] and not problems[1]
    assert 'id="objective_metric-error"' in page and 'id="max_jobs-error"' in page
    assert 'value="0.5"' in page and 'value="x"' in page
    assert not TuningJob.objects.exists()


def test_a_hyperparameter_that_is_missing_is_said_above_the_rows(alice: Visitor, form: Form) -> None:
    answer = alice.post("tuning_job_new", form | columns(ETA))
    assert any(message.startswith("num_round: is required") for message in answer.context["rows_missing"])


def test_going_on_from_an_earlier_one_is_a_warm_start(alice: Visitor) -> None:
    tuning_make(alice.actor, "parent", Trials(n=3))
    answer = alice.get("tuning_job_new", {"warm": "parent"})
    form = answer.context["form"]
    assert (form.warm_type, form.warm_parents) == ("IdenticalDataAndAlgorithm", ["parent"])
    assert re.search(r'name="warm_parents" value="parent" checked', text_of(answer))


def test_a_scripts_job_fills_its_script_channels_and_metrics_and_can_be_tuned(alice: Visitor) -> None:
    amounts(alice)
    source = source_create(actor=alice.actor, files={"train.py": b"print('validation-rmse: 1')\n"})
    definitions = [{"name": "validation:rmse", "regex": r"validation-rmse: ([0-9.]+)"}]
    job = training_job_create(
        actor=alice.actor,
        name="scripted",
        algorithm="script",
        script=ScriptRequest(framework="python", entry_point="train.py", source=source.uid),
        hyperparameters={"depth": "3", "eta": "0.1"},
        channels={"train": ChannelRequest(dataset="flags")},
        metric_definitions=definitions,
    )
    answer = alice.get("tuning_job_new", {"job": job.name})
    form = answer.context["form"]
    assert form.script is not None and form.script.source == source.uid
    assert {(row.name, row.value) for row in form.rows} == {("depth", "3"), ("eta", "0.1")}
    assert form.objective_metric == "validation:rmse" and form.channels["train"]["dataset"].startswith(
        "flags"
    )
    page = text_of(answer)
    assert form.objective_type == "Minimize"  # an error, by its name
    assert f'value="{source.uid}"' in page and 'name="channel_row.dataset"' in page
    offered = (
        f'<option value="{source.uid}" data-framework="python" data-entry="train.py">scripted · train.py'
    )
    assert offered in page and "as the metric declares" not in page
    asked = {
        "name": "by-script",
        "algorithm": "script",
        "script.framework": "python",
        "script.entry_point": "train.py",
        "script.source": source.uid,
        "channel_row.name": "train",
        "channel_row.dataset": "flags",
        "channel_row.uri": "",
        "channel_row.content_type": "",
        "channel_row.input_mode": "File",
        "metric.name": definitions[0]["name"],
        "metric.regex": definitions[0]["regex"],
        "objective_metric": "validation:rmse",
        "objective_type": "Minimize",
        "strategy": "Random",
        "max_jobs": "2",
        "max_parallel_jobs": "1",
        "job_max_runtime_s": "60",
        "instance_type": "local.cpu",
        **columns(ParameterRow(name="depth", kind="Integer", min="2", max="5")),
    }
    refused = alice.post("tuning_job_new", asked | {"script.entry_point": "other.py"})
    assert refused.status_code == 400 and "train.py" in refused.context["script_error"]
    made = alice.post("tuning_job_new", asked)
    assert made.status_code == 302, made.context["errors"]
    for tab in ("overview", "trials", "charts", "api"):
        assert alice.get("tuning_job", {"tab": tab}, name="by-script").status_code == 200
    assert alice.get("tuning_job_new", {"clone": "by-script"}).context["form"].script.source == source.uid


def test_what_is_refused_names_the_fields_as_the_form_does(alice: Visitor, form: Form) -> None:
    answer = alice.post("tuning_job_new", form | {"max_parallel_jobs": "9"})
    assert (
        answer.context["errors"]["max_parallel_jobs"]
        == "9 is more than “Trials at most”, 4; use at most as many"
    )
    assert (
        with_labels("'my_own' is not max_jobs_not_improving")
        == "'my_own' is not “Trials without an improvement”"
    )


def test_the_direction_of_an_own_metric_is_guessed_from_its_name() -> None:
    spec = algorithm_get("script")
    names = ("validation:accuracy", "val_loss", "speed")
    found = metric_choices(spec, [{"name": name, "regex": "(.)"} for name in names])
    assert [one.direction for one in found] == ["Maximize", "Minimize", ""]
