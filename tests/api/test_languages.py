"""Messages come in the language that the client asks for."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Person


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
