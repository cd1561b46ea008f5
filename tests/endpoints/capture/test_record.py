"""A captured record: the managed service's format, whatever is asked and answered."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from endpoints.capture.record import record_line
from endpoints.capture.rule import CaptureRule, LiveCapture, encoding_of

AT = 1644859506.25
CSV, JSON = (b"content-type", b"text/csv"), (b"content-type", b"application/json")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def record(
    *,
    rule: CaptureRule | None = None,
    request: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"5.1,3.5\n",
    answer: list[tuple[bytes, bytes]] | None = None,
    content: bytes = b'{"predictions": []}',
) -> dict[str, Any]:
    rule = rule or CaptureRule("s3://bucket/data-capture")
    live = LiveCapture(rule, project="default", endpoint="iris", endpoint_id=7)
    line = record_line(
        live,
        request=[CSV] if request is None else request,
        body=body,
        answer=[JSON] if answer is None else answer,
        content=content,
        now=AT,
    )
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_it_is_the_managed_service_s_to_the_letter() -> None:
    found = record(answer=[(b"content-type", b"text/csv; charset=utf-8")], content=b"0\n")
    event_id = found["eventMetadata"].pop("eventId")
    assert UUID.fullmatch(event_id)
    assert found == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "5.1,3.5\n",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "0\n",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"inferenceTime": "2022-02-14T17:25:06Z"},
        "eventVersion": "0",
    }
    assert list(record()) == ["captureData", "eventMetadata", "eventVersion"]


def test_the_caller_s_own_words_are_in_it() -> None:
    told = [
        CSV,
        (b"x-amzn-sagemaker-inference-id", b"order-1"),
        (b"x-amzn-sagemaker-custom-attributes", b"trace=7"),
    ]
    metadata = record(request=told)["eventMetadata"]
    assert list(metadata) == ["eventId", "inferenceId", "customAttributes", "inferenceTime"]
    assert (metadata["inferenceId"], metadata["customAttributes"]) == ("order-1", ["trace=7"])


@pytest.mark.parametrize("side", ["input", "output"])
def test_one_side_alone(side: str) -> None:
    rule = CaptureRule("s3://b/c", captures_input=side == "input", captures_output=side == "output")
    assert list(record(rule=rule)["captureData"]) == [f"endpoint{side.title()}"]


@pytest.mark.parametrize(
    ("content_type", "body", "encoding"),
    [
        (b"text/csv", "é\n".encode(), "CSV"),
        (b"Text/CSV; label_size=0", b"1", "CSV"),
        (b"application/json", b'{"a": 1}', "JSON"),
        (b"application/x-npy", b"\x93NUMPY", "BASE64"),
        (b"", b"1,2", "BASE64"),
        (b"text/csv", b"\xff\xfe", "BASE64"),
    ],
    ids=["text", "with parameters", "JSON", "binary", "without a type", "not the text that it says it is"],
)
def test_a_body_is_text_where_its_type_says_so_and_nothing_is_lost(
    content_type: bytes, body: bytes, encoding: str
) -> None:
    side = record(request=[(b"content-type", content_type)], body=body)["captureData"]["endpointInput"]
    assert (side["encoding"], side["observedContentType"]) == (encoding, content_type.decode())
    data = side["data"]
    assert (base64.b64decode(data) if encoding == "BASE64" else data.encode()) == body


def test_the_content_types_are_those_of_the_rule() -> None:
    rule = CaptureRule("s3://b/c", csv_content_types=("text/libsvm",), json_content_types=())
    types = (b"text/libsvm", b"text/csv", b"application/json")
    assert [encoding_of(rule, each) for each in types] == ["CSV", "BASE64", "BASE64"]


def test_no_two_have_one_id() -> None:
    assert len({record()["eventMetadata"]["eventId"] for _ in range(200)}) == 200
