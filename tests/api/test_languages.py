"""Messages come in the language that the client asks for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import translation

from jobs.models import JobEvent, TrainingJob
from jobs.services.lifecycle import training_job_claim, training_job_lose
from tests.api.conftest import Person
from tests.jobs.training.cast import job_make

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
    assert foreign["detail"] == "参加しているプロジェクトに 'nowhere' はありません"
    refused = bob.client.delete(bob.url("training-jobs/nothing/"), headers=JAPANESE).json()
    assert "ロール editor が必要です。あなたのロールは viewer です" in refused["detail"]


@pytest.fixture
def lost(alice: Person) -> TrainingJob:
    """A job whose worker was lost for the last time."""
    job = job_make(alice.actor, "lost")
    assert training_job_claim(job_id=job.pk, owner="w1") is not None
    training_job_lose(rows=TrainingJob.objects.filter(pk=job.pk), attempt=3)
    return job


LOST = "ジョブを実行するワーカーが 3 回失われました"


def test_why_a_job_failed_is_told_in_the_language_of_each_reader(alice: Person, lost: TrainingJob) -> None:
    path = alice.url("training-jobs/lost/")
    said = alice.client.get(path, headers=JAPANESE).json()
    assert said["failure"]["reason"].startswith(LOST)
    assert said["failure_reason"] == f"LostWorker: {said['failure']['reason']}"
    assert [change["message"] for change in said["secondary_status_transitions"]] == [
        "ワーカーを待っています",
        "トレーニングジョブを開始しています",
        said["failure_reason"],
    ]
    english = alice.client.get(path).json()
    assert english["failure"]["reason"].startswith("The worker that ran the job was lost 3 times")
    assert english["failure_reason"] == f"LostWorker: {english['failure']['reason']}"
    assert TrainingJob.objects.filter(failure__reason=english["failure"]["reason"]).exists()
    assert JobEvent.objects.filter(job=lost, message=english["failure_reason"]).exists()


def test_the_admin_console_tells_it_too(lost: TrainingJob, client: Any) -> None:
    client.force_login(User.objects.create_superuser("operator"))
    page = client.get(f"/admin/jobs/trainingjob/{lost.pk}/change/", headers=JAPANESE).content.decode()
    assert page.count(LOST) == 3, "the failure, its event and the name of that"
    assert "The worker that ran the job" not in page


def test_a_failure_of_before_templates_is_shown_as_it_is(alice: Person, lost: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=lost.pk).update(failure={"kind": "Exception", "reason": "{it} broke"})
    said = alice.client.get(alice.url("training-jobs/lost/"), headers=JAPANESE).json()
    assert (said["failure"]["reason"], said["failure_reason"]) == ("{it} broke", "Exception: {it} broke")


@pytest.mark.parametrize(
    "page", ["", "training-jobs/", "training-jobs/lost/", "training-jobs/lost/?tab=events"]
)
def test_every_page_that_shows_it_does_too(alice: Person, lost: TrainingJob, client: Any, page: str) -> None:
    client.force_login(alice.user)
    shown = client.get(f"/projects/alpha/{page}", headers=JAPANESE).content.decode()
    assert LOST in shown
    assert "The worker that ran the job" not in shown
