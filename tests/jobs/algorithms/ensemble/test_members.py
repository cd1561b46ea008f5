"""The members of an ensemble and their hyperparameters, as a request names them."""

from __future__ import annotations

import pytest

from jobs.algorithms.base import DataFacts
from jobs.algorithms.ensemble.members import KINDS, Member, member_values, members_parse
from jobs.algorithms.ensemble.spec import SPEC
from jobs.algorithms.hyperparameters import Hyperparameter
from mlplatform.core.errors import InvalidRequest


def problems(facts: DataFacts | None = None, **given: str) -> dict[str, str]:
    values = {name.replace("linear_learner", "linear-learner"): value for name, value in given.items()}
    with pytest.raises(InvalidRequest) as caught:
        SPEC.validate({"task": "regressor", **values}, facts)
    return {error.field.removeprefix("hyperparameters."): str(error.message) for error in caught.value.errors}


def test_members_may_come_several_times_with_names() -> None:
    assert members_parse(" xgboost, deep=xgboost,xgboost,knn") == (
        Member("xgboost", "xgboost"),
        Member("deep", "xgboost", 1),
        Member("xgboost-3", "xgboost", 2),
        Member("knn", "knn"),
    )


@pytest.mark.parametrize(
    "text", ["", "xgboost,", "kmeans", "a=xgboost,a=knn", "knn=xgboost", "A b=knn", "=knn"]
)
def test_members_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        members_parse(text)


def test_a_member_is_refused_what_its_algorithm_refuses_in_the_same_words() -> None:
    assert problems(xgboost__eta="7") == {"xgboost__eta": '"7" is not accepted; use a number from 0 to 1'}
    assert "deep__eta" in problems(members="deep=xgboost", deep__eta="7")
    assert "grow_policy Lossguide" in problems(catboost__max_leaves="3")["catboost__max_leaves"]
    assert "exceeds the 5 rows" in problems(DataFacts(n_rows=5), members="knn", n_folds="2")["knn__k"]


def test_what_would_have_no_effect_is_refused() -> None:
    assert list(problems(members="knn", xgboost__eta="0.1")) == ["xgboost__eta"]
    assert list(problems(weights="1,2")) == ["weights"]
    assert list(problems(blend="weighted", weights="1,2,3")) == ["weights"]
    assert list(problems(blend="stacked", n_folds="0")) == ["n_folds"]
    assert list(problems(n_folds="1")) == ["n_folds"]
    assert list(problems(other__eta="0.1")) == ["other__eta"]


def test_a_named_member_has_its_own_values_before_those_of_its_kind() -> None:
    values = SPEC.validate(
        {
            "task": "classifier",
            "members": "xgboost,deep=xgboost",
            "xgboost__eta": "0.2",
            "deep__max_depth": "9",
        }
    )
    plain, deep = (member_values(member, values, n_classes=3) for member in members_parse(values["members"]))
    assert (plain["eta"], plain["max_depth"], plain["seed"]) == (0.2, 6, 0)
    assert (deep["eta"], deep["max_depth"], deep["seed"]) == (0.2, 9, 1)
    assert (deep["objective"], deep["num_class"]) == ("multi:softprob", 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_classes", [None, 2, 3])
def test_defaults_are_ones_that_the_member_accepts(kind: str, n_classes: int | None) -> None:
    values = SPEC.validate({"task": "regressor" if n_classes is None else "classifier", "members": kind})
    own = member_values(Member(kind, kind), values, n_classes=n_classes)
    given = {name: str(value) for name, value in own.items() if value not in (None, "")}
    assert KINDS[kind].validate(given, DataFacts(n_rows=100, n_classes=n_classes)) == own


def test_a_hyperparameter_of_a_kind_is_relevant_where_the_kind_is_a_member() -> None:
    declared = SPEC.hyperparameter("xgboost__eta")
    assert _relevant(declared, "xgboost") and _relevant(declared, "knn, deep=xgboost")
    assert not _relevant(declared, "knn,catboost")
    assert SPEC.hyperparameter("xgboost__rate_drop").relevant_if == {
        "members": ("xgboost",),
        "xgboost__booster": ("dart",),
    }
    assert SPEC.hyperparameter("xgboost__scale_pos_weight").relevant_if == {
        "members": ("xgboost",),
        "task": ("classifier",),
    }


def _relevant(declared: Hyperparameter, members: str) -> bool:
    return declared.relevant({"members": members})
