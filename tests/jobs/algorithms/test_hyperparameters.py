"""Declarations of hyperparameters: what they accept, and what they say otherwise."""

from __future__ import annotations

import json

import pytest

from jobs.algorithms.hyperparameters import Categorical, Continuous, Integer, Text

K = Integer(name="k", help="neighbours", min=1, max=1024)
DIM = Integer(name="feature_dim", help="columns", min=1, words=("auto",))
M = Integer(name="m", help="parts", values=(1, 2, 4, 8))
RATE = Continuous(name="rate", help="step", min=0.0, max=1.0, exclusive_min=True)
KIND = Categorical(name="kind", help="kind", values=("sign", "fjlt"))
NOTE = Text(name="note", help="note", max_length=5)


@pytest.mark.parametrize(
    ("declared", "text", "value"),
    [
        (K, "10", 10),
        (K, " 10 ", 10),
        (K, "10.0", 10),
        (K, "1e2", 100),
        (DIM, "auto", "auto"),
        (M, "8", 8),
        (RATE, "0.5", 0.5),
        (RATE, "1", 1.0),
        (KIND, "sign", "sign"),
        (NOTE, "", ""),
        (NOTE, "12345", "12345"),
    ],
)
def test_what_is_in_range_is_accepted(declared, text, value):
    parsed = declared.parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("declared", "text", "accepted"),
    [
        (K, "0", "a whole number from 1 to 1,024"),
        (K, "1025", "a whole number from 1 to 1,024"),
        (K, "2.5", "a whole number"),
        (K, "ten", "a whole number"),
        (K, "nan", "a whole number"),
        (K, "1e999", "a whole number"),
        (K, "9" * 5000, "a whole number"),
        (K, "auto", "a whole number"),
        (DIM, "0", "a whole number of at least 1 or 'auto'"),
        (M, "3", "one of 1, 2, 4, 8"),
        (RATE, "0", "not 0.0 itself"),
        (RATE, "inf", "a number from 0.0 to 1.0"),
        (KIND, "pca", "one of sign, fjlt"),
        (NOTE, "123456", "text of at most 5 characters"),
    ],
)
def test_what_is_not_accepted_is_named_with_what_would_be(declared, text, accepted):
    with pytest.raises(ValueError, match=r"accepted|characters") as caught:
        declared.parse(text)
    assert accepted in str(caught.value)
    assert text[:70] in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_hyperparameter_is_relevant_only_while_another_has_one_of_the_values():
    target = Integer(name="target", help="t", relevant_if={"kind": ("sign", "fjlt")})
    assert target.relevant({"kind": "sign"})
    assert not target.relevant({"kind": None})
    assert not target.relevant({})
    assert KIND.relevant({})


def test_a_hyperparameter_is_relevant_while_a_list_has_one_of_the_values():
    target = Integer(name="target", help="t", relevant_if={"members": ("knn",)})
    assert target.relevant({"members": "xgboost, knn"})
    assert target.relevant({"members": "xgboost,near = knn"})
    assert not target.relevant({"members": "xgboost,knn=xgboost"})


def test_a_description_is_json_with_the_range_of_a_tuning_job():
    tunable = Integer(name="k", help="neighbours", min=1, tune_min=2, tune_max=1024, scale="logarithmic")
    described = json.loads(json.dumps(tunable.describe()))
    assert (described["min"], described["max"]) == (1, None)
    assert (described["tune_min"], described["tune_max"], described["scale"]) == (2, 1024, "logarithmic")


def test_a_tuning_range_is_the_accepted_range_unless_it_is_narrower():
    described = RATE.describe()
    assert (described["tune_min"], described["tune_max"]) == (0.0, 1.0)
