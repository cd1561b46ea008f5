"""Messages come in the language that the client asks for."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import translation

from jobs.models import JobEvent
from tests.api.conftest import Person

JAPANESE = {"accept-language": "ja"}


def refused(who: Person, path: str, body: dict[str, Any], language: str) -> dict[str, Any]:
    answer = who.client.post(who.url(path), body, format="json", headers={"accept-language": language})
    assert answer.status_code == 400, answer.content
    found: dict[str, Any] = answer.json()
    return found


JOB = {
    "name": "spoken",
    "algorithm": "knn",
    "hyperparameters": {"k": 0, "sample_size": 10, "predictor_type": "classifier"},
    "channels": {"train": {"dataset": "nowhere"}},
    "environment": {"PATH": "/"},
    "instance_type": "ml.huge",
}


def test_every_wrong_field_of_a_job_is_told_in_japanese(alice: Person) -> None:
    found = refused(alice, "training-jobs/", JOB, "ja")
    said = {error["field"]: error["message"] for error in found["errors"]}
    assert said["hyperparameters.k"].startswith('"0" は受け付けられません。1 以上の')
    assert "データセット 'nowhere' はプロジェクト" in said["channels.train.dataset"]
    assert said["environment.PATH"] == "プラットフォームが設定する変数です。別の名前にしてください"
    assert "'ml.huge' はインスタンスタイプではありません。" in said["instance_type"]
    for field, message in said.items():
        assert f"{field}: {message}" in found["detail"]


def test_the_same_is_told_in_english_without_a_wish(alice: Person) -> None:
    found = refused(alice, "training-jobs/", JOB, "en")
    said = {error["field"]: error["message"] for error in found["errors"]}
    assert said["hyperparameters.k"].startswith('"0" is not accepted; use a whole number of at least 1')
    assert said["environment.PATH"] == "is set by the platform; use another name"
    assert found["detail"] == "; ".join(f"{field}: {message}" for field, message in said.items())


def test_a_name_is_refused_in_japanese(alice: Person) -> None:
    found = refused(alice, "training-jobs/", JOB | {"name": "no blanks"}, "ja")
    assert any("'no blanks' は名前にできません。" in error["message"] for error in found["errors"])


def upload(who: Person, content: bytes, language: str) -> Any:
    body = {"name": "table", "file": SimpleUploadedFile("table.csv", content)}
    return who.client.post(
        who.url("datasets/"), body, format="multipart", headers={"accept-language": language}
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1,2\n3\n", "2 行目: フィールドが 1 個あります。2 個でなければなりません"),
        (
            b"a,b\n" + b"1,2\n" * 20 + b"1,x\n",
            "21 行目、列 'b': 'x' は数値ではありませんが、この列の 21 セルのうち 20 は数値です",
        ),
        (b"%PDF-1.7", "ファイルは PDF 文書です。CSV、Parquet、JSON Lines を受け付けます"),
    ],
    ids=["fields", "cell", "format"],
)
def test_what_is_wrong_in_a_file_is_told_in_japanese(erin: Person, content: bytes, says: str) -> None:
    answer = upload(erin, content, "ja")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "file", "message": says}]
    assert answer.json()["detail"] == f"file: {says}"


def test_notes_on_a_dataset_come_in_the_language_of_each_reader(erin: Person) -> None:
    content = "長さ,幅\n1.5,2\n2.5,\n3.5,4\n".encode("cp932")
    made = upload(erin, content, "en")
    assert made.status_code == 201, made.content
    assert made.json()["warnings"] == [
        "The text is not UTF-8; it was read as CP932 (Shift_JIS)",
        "Column '幅' has 1 missing cells; not every algorithm accepts them",
    ]
    again = erin.client.get(erin.url("datasets/table/"), headers=JAPANESE)
    assert again.json()["warnings"] == [
        "テキストは UTF-8 ではないため、CP932 (Shift_JIS) として読み込みました",
        "列 '幅': 欠損セルが 1 個あります。受け付けないアルゴリズムもあります",
    ]


def test_an_event_that_every_job_has_is_shown_in_japanese() -> None:
    with translation.override("ja"):
        assert JobEvent(message="Waiting for a worker").message_shown == "ワーカーを待っています"
        assert JobEvent(message="of this job only").message_shown == "of this job only"
        assert JobEvent(message="").message_shown == ""


def test_what_is_not_there_or_not_allowed_is_told_in_japanese(alice: Person, bob: Person) -> None:
    gone = alice.client.get(alice.url("training-jobs/nothing/"), headers=JAPANESE).json()
    assert (gone["title"], gone["detail"]) == (
        "見つかりません",
        "トレーニングジョブ 'nothing' はありません",
    )
    foreign = alice.client.get("/api/v1/projects/nowhere/", headers=JAPANESE).json()
    assert foreign["detail"] == "あなたがメンバーであるプロジェクト 'nowhere' はありません"
    refused = bob.client.delete(bob.url("training-jobs/nothing/"), headers=JAPANESE).json()
    assert "ロール editor が必要です。あなたのロールは viewer です" in refused["detail"]
