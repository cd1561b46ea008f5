"""The log of a training job: slices, search, download."""

from __future__ import annotations

from tests.web.conftest import Visitor
from tests.web.training_jobs import LOG_LINES, ended


def test_the_log_is_read_in_slices(alice: Visitor) -> None:
    ended(alice.actor, "done")
    tail = alice.get("training-job-log", {"tail": 2}, name="done").json()
    assert tail["text"] == "10%\r100%\n日本語の行\n"
    assert (tail["first_line"], tail["n_lines"], len(tail["times"])) == (3, 4, 2)
    some = alice.get("training-job-log", {"first": 2, "n": 1}, name="done").json()
    assert some["text"].startswith("ERROR") and some["first_line"] == 2


def test_the_log_is_searched_for_text_and_by_expression(alice: Visitor) -> None:
    ended(alice.actor, "done")
    found = alice.get("training-job-log", {"search": "error"}, name="done").json()
    assert [one["line"] for one in found["found"]] == [2]
    assert found["note"] == "1 line matches:"
    expression = {"search": "^first|行$", "regular": "1"}
    found = alice.get("training-job-log", expression, name="done").json()
    assert [one["line"] for one in found["found"]] == [1, 4]
    wrong = alice.get("training-job-log", {"search": "(", "regular": "1"}, name="done").json()
    assert "RE2" in wrong["error"]
    assert alice.get("training-job-log", {"search": "xyz"}, name="done").json()["note"] == "No line matches."


def test_a_number_that_is_none_is_refused_by_the_log(alice: Visitor) -> None:
    ended(alice.actor, "done")
    for query in ({"first": "-1"}, {"tail": "1e9"}, {"after": "９"}):
        assert alice.get("training-job-log", query, name="done").status_code == 400


def test_the_whole_log_is_downloaded(alice: Visitor) -> None:
    ended(alice.actor, "done")
    response = alice.get("training-job-log-download", name="done")
    assert b"".join(response.streaming_content).decode() == "\n".join(LOG_LINES) + "\n"
    assert response["Content-Disposition"] == 'attachment; filename="done.log"'
    assert response["Content-Type"].startswith("text/plain")
