"""Pages of models that a script serves: sent by form, shown with code and handlers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from endpoints.models import Model
from tests.endpoints.serving.script_models import ENSEMBLE, model_folder
from tests.endpoints.test_script_models import packed
from tests.web.conftest import Visitor


@pytest.fixture
def archive(tmp_path: Path) -> io.BytesIO:
    return SimpleUploadedFile("m.tar.gz", packed(model_folder(tmp_path / "m", ENSEMBLE)))  # type: ignore[return-value]


@pytest.mark.parametrize("origin", ["job", "upload", "uri"])
def test_a_new_model_may_come_from_a_job_an_upload_or_an_address(alice: Visitor, origin: str) -> None:
    page = alice.client.get(alice.url("model-new"), {"from": origin}).content.decode()
    assert f'?from={origin}" aria-current="page"' in page
    assert 'name="name"' in page


def test_an_archive_is_sent_and_shown_with_its_handlers_and_code(alice: Visitor, archive: io.BytesIO) -> None:
    sent = {"archive": archive, "name": "sent", "served_by": "framework:xgboost", "entry_point": ""}
    answer = alice.client.post(alice.url("model-new") + "?from=upload", sent)
    assert (answer.status_code, answer["Location"]) == (303, alice.url("model-detail", name="sent"))
    model = Model.objects.get()
    page = alice.client.get(alice.url("model-detail", name="sent")).content.decode()
    assert "XGBoost script" in page and "default of XGBoost" in page
    assert page.count("<td><code>inference.py</code></td>") == 2
    assert 'id="inference.py:L7"' in page and "tok-k" in page
    again = {"artifact_uri": model.artifact_uri, "name": "again", "served_by": "framework:python"}
    answer = alice.client.post(alice.url("model-new") + "?from=uri", again)
    assert answer.status_code == 303
    assert "script" in alice.client.get(alice.url("model-list")).content.decode()


def test_a_refusal_stands_beside_its_field(alice: Visitor, archive: io.BytesIO) -> None:
    sent = {"archive": archive, "name": "m", "served_by": "framework:python", "entry_point": "absent.py"}
    answer = alice.client.post(alice.url("model-new") + "?from=upload", sent)
    assert answer.status_code == 400
    assert "&#x27;absent.py&#x27; is not in" in answer.content.decode()
    assert not Model.objects.exists()
