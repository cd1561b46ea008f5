"""Data capture behind the real processes: what was answered is captured although the gateway is killed right after, and
a store that takes nothing costs nobody an answer.

The tests share one stage and are run in their order.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from endpoints.models import CapturedFile, DataCapture
from endpoints.services.data_capture import data_capture_update
from endpoints.services.endpoints import CaptureRequest, VariantRequest, endpoint_create
from mlplatform.core.people.access import Actor
from mlplatform.core.revisions import revision_value
from mlplatform.core.storage.objects import object_store
from tests.faults.endpoint_fixtures import *  # noqa: F403
from tests.faults.endpoint_stage import BACK_WITHIN_S, EndpointStage
from tests.polling import wait_until

pytestmark = [pytest.mark.slow]
STORED_WITHIN_S = 20.0


@pytest.fixture(scope="module", autouse=True)
def flushed_soon() -> Iterator[None]:
    """Files are closed after a second, where a minute is usual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_CAPTURE_FLUSH_S", "1")
        yield


@pytest.fixture(scope="module", autouse=True)
def endpoint(flushed_soon: None, alice: Actor, stage: EndpointStage) -> None:
    variants = [VariantRequest(model="iris-knn")]
    endpoint_create(actor=alice, name="iris", variants=variants, data_capture=CaptureRequest())
    stage.wait_in_service(1)


def _rows(n: int, *, first: int = 0) -> list[bytes]:
    """Rows that nobody else sends."""
    return [f"{5 + (first + number) / 1000:.3f},3.5,1.4,0.2".encode() for number in range(n)]


def _stored() -> list[str]:
    """What was asked, of every record in the store."""
    lines = [
        line
        for uri in CapturedFile.objects.values_list("uri", flat=True)
        for line in object_store().get_bytes(uri).splitlines()
    ]
    return [json.loads(line)["captureData"]["endpointInput"]["data"] for line in lines]


def _wait_known(stage: EndpointStage) -> None:
    """Until the gateway knows what was changed."""
    wait_until(lambda: stage.gateway_status().get("version") == revision_value(), timeout_s=5, every_s=0.02)


def _wait_stored(rows: list[bytes], stage: EndpointStage) -> None:
    wanted = sorted(row.decode() for row in rows)
    wait_until(
        lambda: sorted(text for text in _stored() if text.encode() in rows) == wanted,
        timeout_s=STORED_WITHIN_S,
        what=lambda: f"{len(wanted)} records of {len(_stored())} in the store\n{stage.gateway.log}",
    )


def test_whatever_was_answered_is_in_the_store_after_the_gateway_is_killed_right_after(
    alice: Actor, stage: EndpointStage
) -> None:
    answered = []
    for round_ in range(2):
        rows = _rows(20, first=20 * round_)
        assert [stage.invoke(row).status for row in rows] == [200] * len(rows)
        stage.gateway.kill()
        answered += rows
        stage.gateway.start()
        stage.wait_for_answer(within_s=BACK_WITHIN_S)
    _wait_stored(answered, stage)
    file = CapturedFile.objects.first()
    assert file is not None and file.endpoint is not None and file.n_records > 0
    folder = f"s3://{alice.project.bucket}/data-capture/iris/AllTraffic/{file.hour:%Y/%m/%d/%H}/"
    assert file.uri.startswith(folder)
    assert object_store().size(file.uri) == file.size_bytes


def test_a_store_that_takes_nothing_is_told_costs_no_answer_and_gets_everything_afterwards(
    alice: Actor, stage: EndpointStage, data_dir: Path
) -> None:
    folder = data_dir / "store" / alice.project.bucket / "data-capture"
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("a file where the folder was")
    rows = _rows(10, first=500)
    assert [stage.invoke(row).status for row in rows] == [200] * len(rows)
    wait_until(
        lambda: DataCapture.objects.get().problem_words,
        timeout_s=STORED_WITHIN_S,
        what=lambda: stage.gateway.log,
    )
    kept = DataCapture.objects.get()
    assert "wait on the gateway's disk" in kept.problem_words and kept.status == "Started"
    more = _rows(10, first=600)
    assert [stage.invoke(row).status for row in more] == [200] * len(more)
    folder.unlink()
    shutil.move(aside, folder)
    _wait_stored(rows + more, stage)
    wait_until(lambda: not DataCapture.objects.get().problem_words, timeout_s=STORED_WITHIN_S)
    assert DataCapture.objects.get().n_dropped == 0


def test_it_is_switched_within_a_second_and_nothing_is_deployed(alice: Actor, stage: EndpointStage) -> None:
    before = [replica.uid for replica in stage.replicas()]
    data_capture_update(actor=alice, endpoint="iris", is_on=False)
    _wait_known(stage)
    off = _rows(5, first=700)
    assert [stage.invoke(row).status for row in off] == [200] * len(off)
    data_capture_update(actor=alice, endpoint="iris", is_on=True, captures_output=False)
    _wait_known(stage)
    on = _rows(5, first=800)
    assert [stage.invoke(row).status for row in on] == [200] * len(on)
    _wait_stored(on, stage)
    assert not set(_stored()) & {row.decode() for row in off}
    assert [replica.uid for replica in stage.replicas()] == before
