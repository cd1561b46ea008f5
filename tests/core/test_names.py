"""Names, addresses and statuses."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.names import NAME_PATTERN, arn, name_check, name_with_time, uid_new, uri_split
from mlplatform.core.status import (
    ENDPOINT_TRANSITIONS,
    TERMINAL_TRAINING,
    TONES,
    TRAINING_TRANSITIONS,
    EndpointStatus,
    ReplicaStatus,
    SecondaryStatus,
    TrainingJobStatus,
)


@given(st.text(alphabet="aZ09-_./ é\n\0", max_size=12))
def test_a_name_is_legal_where_the_services_pattern_says_so(text: str) -> None:
    legal = re.fullmatch(NAME_PATTERN, text) is not None
    try:
        name_check(text)
        assert legal
    except InvalidRequest as error:
        assert not legal
        assert error.errors[0].field == "name"


def test_names_have_a_length_limit_and_long_ones_cost_nothing() -> None:
    assert name_check("a" * 63)
    for wrong in ("a" * 64, "a" * 40 + "-" * 100_000):
        begun = time.monotonic()
        with pytest.raises(InvalidRequest):
            name_check(wrong)
        assert time.monotonic() - begun < 0.1


@given(st.text(alphabet="abc-", min_size=1, max_size=80).filter(lambda text: text[0] != "-"))
def test_a_default_name_is_a_legal_name(stem: str) -> None:
    name_check(name_with_time(stem, datetime(2026, 11, 20, tzinfo=UTC)))


def test_an_address_is_taken_apart() -> None:
    assert uri_split("s3://mlplatform-1/a/b c/é.csv") == ("mlplatform-1", "a/b c/é.csv")


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "s3://", "s3://bucket", "s3://bucket/", "s3:///key", "http://bucket/key", "bucket/key"),
        *("s3://bucket/../key", "s3://bucket/a/..", "s3://bucket/./key", "s3://../key", "s3://bucket/a//b"),
        *(
            "s3://BUCKET/key",
            "s3://bucket//",
            "s3://bucket/a\0b",
            "s3://bucket/a\x01b",
            "s3://bucket/a\ud800",
        ),
        *("s3://bucket/" + 256 * "a", "s3://bucket/" + 600 * "a/"),
    ],
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequest, match="s3://bucket/key"):
        uri_split(wrong)


def test_ids_are_unique_and_fit_their_columns() -> None:
    ids = {uid_new() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{26}", uid) for uid in ids)


def test_an_arn_is_the_services() -> None:
    expected = "arn:aws:sagemaker:us-east-1:123456789012:training-job/my-job"
    assert arn(account_id="123456789012", kind="training-job", name="My-Job") == expected


def test_every_status_has_a_tone_and_transitions_lead_to_known_ones() -> None:
    for statuses in (TrainingJobStatus, SecondaryStatus, EndpointStatus, ReplicaStatus):
        assert {status.value for status in statuses} <= set(TONES)
    assert set(TRAINING_TRANSITIONS) == set(TrainingJobStatus)
    assert set(ENDPOINT_TRANSITIONS) == set(EndpointStatus)
    assert {"Completed", "Failed", "Stopped"} == TERMINAL_TRAINING
