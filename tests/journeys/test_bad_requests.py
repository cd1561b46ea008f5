"""Hostile requests at every route of the REST document: each is refused in the form all refusals have.

What is asked of a file, a job or an endpoint in particular is in the other files `test_bad_*`.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.journeys.street import Street, refused, unique
from tests.rest_client import Answer

pytestmark = pytest.mark.usefixtures("nothing_left")
JSON = "application/json"
DEEP = b"[" * 100_000 + b"]" * 100_000
HOSTILE_NAMES = (
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "a%00b",
    "x" * 300,
    "%ff%fe",
    "-",
    "name%0d%0aX-Evil:1",
    "%F0%9F%A6%86",
)
FORGED_CURSORS = (
    "forged",
    "W10=",
    "eyJhIjoxfQ==:forged",
    "x" * 5000,
    "../../etc/passwd",
    "%00",
    "1 OR 1=1",
)


@pytest.fixture(scope="module")
def document(street: Street) -> dict[str, Any]:
    return dict(street.client.get("schema/").json)


def operations(document: dict[str, Any], method: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The addresses of all operations of a method, with the project filled in."""
    for path, methods in document["paths"].items():
        if method in methods:
            yield path.replace("{project}", "default"), methods[method]


def with_names(path: str, value: str) -> str:
    """`path` with `value` in every place that is left."""
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + value + rest.partition("}")[2]
    return path


def is_refusal(answer: Answer, about: str) -> None:
    assert 400 <= answer.status < 500, f"{about}: {answer.status} {answer.text[:300]}"
    problem = answer.json
    assert problem["code"] and problem["detail"] and problem["request_id"], f"{about}: {answer.text[:300]}"
    assert "Traceback" not in answer.text and "/tmp/" not in answer.text, about


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_in_an_address_that_is_no_name_finds_nothing(
    street: Street, document: dict[str, Any], name: str
) -> None:
    for method in ("get", "post", "patch", "put", "delete"):
        for path, _operation in operations(document, method):
            if "{" in path:
                body = None if method in {"get", "delete"} else b"{}"
                headers = {"Content-Type": JSON} if body else {}
                answer = street.client.send(
                    method.upper(), with_names(path, name), body=body, headers=headers
                )
                is_refusal(answer, f"{method} {path} with {name!r}")


def test_json_nested_a_hundred_thousand_deep_is_refused_everywhere(
    street: Street, document: dict[str, Any]
) -> None:
    for method in ("post", "patch", "put"):
        for path, operation in operations(document, method):
            if JSON in operation.get("requestBody", {}).get("content", {}):
                address = with_names(path, "iris-knn")
                for body in (DEEP, b'{"name":' + DEEP + b"}", b'{"a":' * 100_000):
                    answer = street.client.send(
                        method.upper(), address, body=body, headers={"Content-Type": JSON}
                    )
                    is_refusal(answer, f"{method} {path}")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b"12", b"\xff\xfe", b"{", b"NaN", b'{"a": Infinity}']
)
def test_a_body_that_is_no_object_is_refused_everywhere(
    street: Street, document: dict[str, Any], body: bytes
) -> None:
    for path, operation in operations(document, "post"):
        if JSON in operation.get("requestBody", {}).get("content", {}) and "invocations" not in path:
            if body == b"" and path.endswith("/access-keys/"):
                continue  # every field of a new key may be left out
            address = with_names(path, "nothing-of-this-name")
            answer = street.client.send("POST", address, body=body, headers={"Content-Type": JSON})
            is_refusal(answer, f"{path} with {body!r}")


def is_below_nothing(street: Street, address: str) -> bool:
    """Whether the list is of something that there is not, as the trials of a tuning job of that name."""
    return "/tuning-jobs/" in address and street.client.get(address).status == 404


def test_an_order_or_filter_that_is_not_offered_is_refused_by_name(
    street: Street, document: dict[str, Any]
) -> None:
    n_lists = 0
    for path, operation in operations(document, "get"):
        offered = {
            parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"
        }
        if "order" not in offered:
            continue
        address = with_names(path, "iris-knn")
        if is_below_nothing(street, address):
            continue
        n_lists += 1
        for order in (
            "owner__password",
            "-project__memberships__user__password",
            "?",
            "pk); DROP TABLE x",
            "name,pk",
        ):
            refused(street.client.get(f"{address}?order={quote(order)}"), field="order")
        is_refusal(street.client.get(f"{address}?owner__password__startswith=a"), path)
    assert n_lists >= 4


@pytest.mark.parametrize("cursor", FORGED_CURSORS)
def test_a_forged_cursor_is_refused_by_every_list(
    street: Street, document: dict[str, Any], cursor: str
) -> None:
    n_lists = 0
    for path, operation in operations(document, "get"):
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        if "cursor" in names and not is_below_nothing(street, with_names(path, "iris-knn")):
            n_lists += 1
            given = cursor if cursor.startswith("%") else quote(cursor, safe="")
            refused(street.client.get(f"{with_names(path, 'iris-knn')}?cursor={given}"), field="cursor")
    assert n_lists >= 4


def archive_of(*members: tarfile.TarInfo) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return sink.getvalue()


def member(name: str, **facts: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for fact, value in facts.items():
        setattr(made, fact, value)
    return made


def zipped(content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", content)
    return sink.getvalue()


ARCHIVES = {
    "tar with a link": archive_of(member("a.csv", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "tar with a path out": archive_of(member("../../a.csv", size=10)),
    "zip bomb": zipped(b"1,2,3\n" * 5_000_000),
    "gzip bomb of zeros": gzip.compress(bytes(400_000_000), 1),
    "gzip in gzip": gzip.compress(gzip.compress(b"1,2\n3,4\n" * 100)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_or_bomb_is_no_dataset(street: Street, kind: str) -> None:
    for filename in ("data.csv", "data.csv.gz", "data.tar.gz"):
        refused(street.upload(unique("archive"), ARCHIVES[kind], filename=filename), field="file")


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/b", "a\x00b", "x" * 300, "", " ", "名前", "a b", "-a", "a-"]
)
def test_a_name_in_a_body_that_is_no_name_is_refused_by_every_create(street: Street, name: str) -> None:
    asked = {
        "training-jobs/": {"algorithm": "knn", "channels": {}, "hyperparameters": {}},
        "models/": {"training_job": "iris-knn"},
        "endpoints/": {"variants": [{"model": "iris-knn"}]},
        "datasets/": {"sample": "iris"},
    }
    for path, body in asked.items():
        refused(street.post(path, {**body, "name": name}), field="name")


def test_a_body_of_ten_megabytes_of_json_is_refused_before_it_is_understood(street: Street) -> None:
    body = json.dumps({"name": "x" * (11 * 1024**2)}).encode()
    path = f"{street.base}/training-jobs/"
    answer = street.client.send("POST", path, body=body, headers={"Content-Type": JSON})
    refused(answer, status=413)
