"""The whole street, as a person walks it: Iris with the managed service's numbers, wherever one looks."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest

from tests.journeys.street import Street, refused, unique
from tests.rest_client import Client

ACCURACY = 37 / 38


def test_iris_is_37_of_38_in_the_log_by_rest_and_row_by_row_through_the_endpoint(street: Street) -> None:
    log = street.log("iris-knn")
    assert f"#quality_metric: host=algo-1, test accuracy <score>={ACCURACY!r}" in log
    assert f"#test_score (algo-1) : ('accuracy', {ACCURACY!r})" in log
    assert street.job("iris-knn")["final_metrics"]["test:accuracy"] == ACCURACY
    series = {item["name"]: item for item in street.get("training-jobs/iris-knn/metrics/").json["items"]}
    assert series["test:accuracy"]["last"] == ACCURACY

    run, rows = street.table("iris-knn", "iris-test")
    assert (run["status"], run["n_rows"], run["n_done"]) == ("Completed", 38, 38)
    assert (run["summary"]["n_correct"], run["summary"]["accuracy"]) == (37, ACCURACY)
    assert [row["row"] for row in rows] == list(range(1, 39))
    assert sum(row["label"] == row["prediction"] for row in rows) == 37
    assert all(row["correct"] == (row["label"] == row["prediction"]) for row in rows)
    assert {row["label"] for row in rows} == {"setosa", "versicolor", "virginica"}


def test_a_row_alone_gets_the_prediction_that_the_table_shows(street: Street) -> None:
    _, rows = street.table("iris-knn", "iris-test")
    wrong = next(row for row in rows if not row["correct"])
    labels = street.get("models/iris-knn/").json["labels"]
    answer = street.invoke("iris-knn", ",".join(wrong["features"]))
    assert labels[int(answer.json["predictions"][0]["predicted_label"])] == wrong["prediction"]


def test_the_parts_of_a_split_are_scikit_learns_rows(street: Street) -> None:
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    X_train, X_test = train_test_split(load_iris().data, test_size=0.25, random_state=0)
    for name, wanted in (("iris-train", X_train), ("iris-test", X_test)):
        text = street.get(f"datasets/{name}/download/").text.splitlines()[1:]
        rows = [[float(cell) for cell in line.split(",")[:4]] for line in text]
        # The sample is R's Iris, which differs from scikit-learn's in two cells.
        differing = sum(found != list(row) for found, row in zip(rows, wanted, strict=True))
        assert differing <= 2


def test_the_stages_of_a_job_have_times_that_follow_one_another(street: Street) -> None:
    job = street.job("iris-knn")
    stages = job["secondary_status_transitions"]
    assert [stage["status"] for stage in stages] == [
        "Pending",
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert all(stage["started_at"] <= stage["ended_at"] for stage in stages), stages
    assert all(before["ended_at"] <= after["started_at"] for before, after in pairwise(stages)), stages
    assert job["created_at"] <= job["started_at"] <= job["ended_at"]


def test_a_log_read_in_pieces_is_the_log_read_whole(street: Street) -> None:
    pieces, after = [], 0
    while True:
        piece = street.get(f"training-jobs/iris-knn/logs/?after={after}&limit_bytes=300").json
        pieces.append(piece["text"])
        assert piece["next"] > after or piece["end"]
        after = piece["next"]
        if piece["end"]:
            break
    assert "".join(pieces) == street.log("iris-knn")


def test_the_event_stream_brings_the_whole_log_and_then_ends(street: Street) -> None:
    answer = street.get("training-jobs/iris-knn/logs/stream/")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = re.findall(r"event: (\w+)", answer.text)
    assert events[-1] == "end"
    parts = [json.loads(data) for data in re.findall(r"event: log\n(?:id: .*\n)?data: (.*)", answer.text)]
    assert "".join(part["text"] for part in parts) == street.log("iris-knn")


def test_an_artifact_downloads_with_the_recorded_digest(street: Street) -> None:
    import hashlib

    job = street.job("iris-knn")
    body = street.get("training-jobs/iris-knn/artifact/").body
    assert (len(body), hashlib.sha256(body).hexdigest()) == (job["artifact_bytes"], job["artifact_sha256"])


def test_what_is_used_is_not_deleted_and_the_refusal_says_by_whom(street: Street) -> None:
    refused(street.delete("models/iris-knn/"), status=409, words=("iris-knn", "endpoint"))
    assert street.endpoint("iris-knn")["status"] == "InService"
    name = unique("used")
    street.job_completed(name, train="iris-train")
    street.model(name, job=name)
    assert street.delete(f"training-jobs/{name}/").status == 204
    assert street.get(f"models/{name}/").json["training_job"] is None
    assert street.delete(f"models/{name}/").status == 204


def test_everything_of_a_deleted_job_is_gone(street: Street) -> None:
    before = street.traces()
    name = unique("gone")
    street.job_completed(name, train="iris-train", test="iris-test")
    assert street.traces() != before
    assert street.delete(f"training-jobs/{name}/").status == 204
    refused(street.get(f"training-jobs/{name}/"), status=404)
    assert street.traces() == before


def test_a_request_sent_twice_with_one_idempotency_key_makes_one_job(street: Street) -> None:
    request = street.job_request(unique("once"), train="iris-train")
    headers = {"Content-Type": "application/json", "Idempotency-Key": request["name"]}
    path = f"{street.base}/training-jobs/"
    answers = [
        street.client.send("POST", path, body=json.dumps(request).encode(), headers=headers) for _ in range(2)
    ]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].json["name"] == answers[1].json["name"]
    other = json.dumps(request | {"max_runtime_s": 5}).encode()
    assert street.client.send("POST", path, body=other, headers=headers).status in {400, 409, 422}
    street.job_ended(request["name"])


# ---- requests that are no requests


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"name": "a", "name": "b"}', "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "application/json", 400),
        (b"name=a", "application/x-www-form-urlencoded", 415),
        (b"<a/>", "application/xml", 415),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"no parts", "multipart/form-data", 415),
    ],
)
@pytest.mark.usefixtures("nothing_left")
def test_a_body_that_is_not_the_json_asked_for_is_refused(
    street: Street, body: bytes, content_type: str, status: int
) -> None:
    answer = street.client.send(
        "POST", f"{street.base}/training-jobs/", body=body, headers={"Content-Type": content_type}
    )
    refused(answer, status=status)


@pytest.mark.usefixtures("nothing_left")
def test_json_over_ten_mebibytes_is_refused(street: Street) -> None:
    answer = street.client.send(
        "POST",
        f"{street.base}/training-jobs/",
        body=b'{"name": "' + b"a" * (10 * 1024**2) + b'"}',
        headers={"Content-Type": "application/json"},
    )
    refused(answer, status=413)


@pytest.mark.parametrize("path", ["training-jobs/?status=Done", "datasets/?limit=1000", "models/?colour=red"])
def test_a_query_that_cannot_be_is_refused(street: Street, path: str) -> None:
    refused(street.get(path))


@pytest.mark.parametrize(
    "path", ["datasets/ghost/", "training-jobs/ghost/", "models/ghost/", "endpoints/ghost/", "nonsense/"]
)
def test_what_is_not_there_is_404(street: Street, path: str) -> None:
    refused(street.get(path), status=404)


# ---- whose things are whose


def test_another_projects_things_are_as_if_they_never_were(street: Street, charlie: Street) -> None:
    mine = Street(street.platform, client=charlie.client, project="default")
    for path in ("datasets/iris/", "training-jobs/iris-knn/", "models/iris-knn/", "endpoints/iris-knn/", ""):
        refused(mine.get(path), status=404)
        assert mine.get(path).json["detail"] == mine.get(path.replace("iris", "ghost")).json[
            "detail"
        ].replace("ghost", "iris")
    assert mine.invoke("iris-knn", "5.9,3.0,4.2,1.5").status == 404
    assert charlie.invoke("iris-knn", "5.9,3.0,4.2,1.5").status == 404
    assert charlie.get("datasets/").json["items"] == []


def test_another_projects_objects_are_not_read_by_address(street: Street, charlie: Street) -> None:
    before = charlie.traces()
    dataset = street.get("datasets/iris/").json["uri"]
    artifact = street.job("iris-knn")["artifact_uri"]
    refused(charlie.post("datasets/", {"name": "theft", "uri": dataset}), field="uri")
    request = charlie.job_request("theft", train="x") | {"channels": {"train": {"uri": dataset}}}
    refused(charlie.post("training-jobs/", request), field="channels.train.uri")
    refused(
        charlie.post("models/", {"name": "theft", "artifact_uri": artifact, "algorithm": "knn"}),
        field="artifact_uri",
    )
    refused(charlie.post("models/", {"name": "theft", "training_job": "iris-knn"}), field="training_job")
    assert charlie.traces() == before


def test_a_revoked_key_opens_nothing_any_more(street: Street) -> None:
    made = street.post("access-keys/", {"description": "soon revoked"}).json
    late = Street(street.platform, client=Client(street.client.base_url, token=made["token"]))
    assert late.get("datasets/").status == 200
    wait = late.invoke("iris-knn", "5.9,3.0,4.2,1.5")
    assert wait.status == 200, wait.text
    assert street.delete(f"access-keys/{made['key_id']}/").status == 200
    refused(late.get("datasets/"), status=401)
    from tests.polling import wait_until

    wait_until(
        lambda: late.invoke("iris-knn", "5.9,3.0,4.2,1.5").status == 401,
        timeout_s=2.0,
        what="the gateway to refuse the revoked key",
    )


@pytest.mark.parametrize("token", ["", "x", "a.b", "MLPK.secret", "é.ü"])
def test_a_key_that_is_none_is_401_everywhere(street: Street, token: str) -> None:
    nobody = Street(
        street.platform, client=Client(street.client.base_url, token=token.encode().decode("latin-1"))
    )
    assert nobody.get("datasets/").status == 401
    answer = nobody.invoke("iris-knn", "5.9,3.0,4.2,1.5")
    assert answer.status == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]
