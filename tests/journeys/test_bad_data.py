"""Files that are no table, and tables that k-NN cannot learn from: refused with the place, and nothing is kept."""

from __future__ import annotations

import gzip

import pytest

from tests.journeys.street import Street, refused, unique

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.once]

TABLE = b"a,b,label\n1,2,x\n3,4,y\n"


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        pytest.param(b"", {}, ("empty",), id="empty"),
        pytest.param(b"\xef\xbb\xbf", {}, ("row",), id="only a byte order mark"),
        pytest.param(b"\n\n\n", {}, ("row",), id="only empty lines"),
        pytest.param(b"a,b,label\n", {"header": "true"}, ("row",), id="header only"),
        pytest.param(b"a,b,label\n", {"header": "true", "label": "label"}, ("row",), id="header, label"),
        pytest.param(b"a,b\n1,2\n3,4,5\n6,7\n", {"header": "true"}, ("row 2", "3", "2"), id="ragged, long"),
        pytest.param(b"a,b\n1,2\n3\n6,7\n", {"header": "true"}, ("row 2",), id="ragged, short"),
        pytest.param(b'a,b\n1,"2\n', {"header": "true"}, ("row",), id="an open quote"),
        pytest.param(b"a,b\n1,\x00\n", {"header": "true"}, (), id="a zero byte"),
        pytest.param(bytes(range(128, 256)) * 9, {}, (), id="bytes that are no text"),
        pytest.param(b"a,b\n1,\xff\xff\n", {"encoding": "utf-8"}, ("utf-8",), id="not the encoding said"),
        pytest.param(TABLE, {"label": "klass"}, ("klass", "label"), id="a label column that is not there"),
        pytest.param(TABLE, {"label": "3"}, ("3",), id="a label position that is not there"),
        pytest.param(b'{"a": 1}\n{"a": \n', {}, ("row 2",), id="JSON Lines broken in row 2"),
        pytest.param(b"PAR1 and nothing more", {}, ("parquet",), id="a Parquet file cut off"),
        pytest.param(gzip.compress(TABLE)[:-9], {}, (), id="gzip cut off"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    street: Street, content: bytes, fields: dict[str, str], words: tuple[str, ...]
) -> None:
    answer = street.upload(unique("bad"), content, **fields)
    problem = refused(answer)
    assert [error["field"] for error in problem["errors"]] != []
    said = problem["detail"].lower()
    for word in words:
        assert word.lower() in said, said


def test_a_missing_label_names_the_row_and_the_column(street: Street) -> None:
    content = b"a,b,label\n1,2,0\n3,4,NaN\n5,6,1\n"
    answer = street.upload(unique("bad"), content, header="true", label="label")
    refused(answer, field="file", words=("row 2", "label"))


def test_a_second_file_in_the_form_is_refused(street: Street) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\ntwo\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n1,2\r\n'
        b'--b\r\nContent-Disposition: form-data; name="other"; filename="b.csv"\r\n\r\n1,2\r\n--b--\r\n'
    )
    answer = street.client.send(
        "POST",
        "projects/default/datasets/",
        body=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    refused(answer, field="other")


@pytest.mark.parametrize(
    "name", ["../evil", "..", "a/../../b", "a b", "a_b", "-a", "a-", "", "a" * 64, "名前", "a\n"]
)
def test_a_name_that_is_a_path_or_no_name_is_refused(street: Street, name: str) -> None:
    refused(street.upload(name, TABLE), field="name")
    refused(street.post("datasets/", {"name": name, "sample": "iris"}), field="name")


def test_a_name_of_a_file_that_is_a_path_stays_a_name(street: Street) -> None:
    name = unique("path")
    answer = street.upload(name, TABLE, filename="../../../../etc/passwd.csv", label="label")
    assert answer.status == 201, answer.text
    version = street.get(f"datasets/{name}/versions/").json["items"][0]
    assert "/" not in version["filename"] and ".." not in version["filename"]
    assert street.delete(f"datasets/{name}/").status == 204


def test_a_name_that_is_taken_is_a_conflict(street: Street) -> None:
    refused(street.upload("iris", TABLE), status=409, words=("iris",))
    refused(street.post("datasets/", {"name": "iris", "sample": "wine"}), status=409, words=("iris",))
    refused(
        street.post("datasets/iris/split/", {"fractions": {"train": 0.5, "test": 0.5}}),
        status=409,
        words=("iris-train",),
    )


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ({}, ()),
        ({"train": 0.9, "test": 0.2}, ("1.1",)),
        ({"train": 0, "test": 1}, ("fractions.train", "0")),
        ({"one": -0.5, "two": 0.5}, ("-0.5",)),
        ({"../up": 0.5, "b": 0.5}, ("../up",)),
        ({"few": 0.0001, "many": 0.9}, ()),
        ({"much": "most"}, ("much",)),
    ],
)
def test_shares_that_cannot_be_split_are_refused(
    street: Street, fractions: dict[str, object], words: tuple[str, ...]
) -> None:
    refused(street.post("datasets/iris/split/", {"fractions": fractions}), words=("fractions", *words))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "http://127.0.0.1/x.csv",
        "https://127.0.0.1/x.csv",
        "https://169.254.169.254/latest/meta-data/",
        "s3://another-bucket/x.csv",
        "s3://x/../../y",
        "/etc/passwd",
    ],
)
def test_an_address_that_is_not_the_projects_is_not_fetched(street: Street, uri: str) -> None:
    refused(street.post("datasets/", {"name": unique("uri"), "uri": uri}), field="uri")


def test_text_in_a_feature_column_is_refused_by_name_before_the_job_begins(street: Street) -> None:
    name = unique("text")
    street.dataset(name, b"a,b,label\n1,2,0\nthree,4,1\n5,6,1\n", header="true", label="label")
    answer = street.post("training-jobs/", street.job_request(name, train=name))
    refused(answer, field="channels.train.dataset", words=("'a'", "text"))
    assert street.delete(f"datasets/{name}/").status == 204


def test_a_table_with_nothing_but_a_label_is_not_trained_on(street: Street) -> None:
    name = unique("only")
    street.dataset(name, b"label\nx\ny\n", header="true", label="label")
    answer = street.post("training-jobs/", street.job_request(name, train=name))
    refused(answer, field="channels.train.dataset", words=("feature column",))
    assert street.delete(f"datasets/{name}/").status == 204


def test_a_label_that_a_model_cannot_hold_exactly_is_refused_as_it_was_written(street: Street) -> None:
    answer = street.upload(unique("bad"), b"a,label\n1,16777216\n2,16777217\n", header="true", label="label")
    refused(answer, field="file", words=("row 2", "'16777217'", "16777216"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(b"0" * 200_000_000, 1), id="a line of 200 MB in 200 KB"),
        pytest.param(b"a,b\n1," + b"x" * 20_000_000 + b"\n", id="a cell of 20 MB"),
        pytest.param((b"1," * 200_000 + b"1\n") * 2, id="200,000 columns"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", id="deep JSON"),
        pytest.param(b"[" * 100_000 + b"\n", id="deep JSON that never ends"),
    ],
)
def test_a_file_that_would_need_too_much_memory_is_refused(street: Street, content: bytes) -> None:
    refused(street.upload(unique("bomb"), content), field="file")
