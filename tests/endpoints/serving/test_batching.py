"""The queue in front of a predictor: company for those who wait, none for an idle one, faults kept apart."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from endpoints.serving.answers import ModelFault
from endpoints.serving.batching import Batcher
from mlplatform.core.errors import Throttled
from tests.endpoints.loop_thread import LoopThread
from tests.endpoints.serving.engines import LinearPredictor

QUICK_S = 0.2  # long enough for a busy machine


def row(*values: float) -> NDArray[np.float32]:
    return np.array([values], dtype=np.float32)


def run(loop_thread: LoopThread, predictor: Any, *rows: NDArray[np.float32], **options: Any) -> list[Any]:
    """Predicts all rows at the same time; errors come back as values."""

    async def together() -> list[Any]:
        batcher = Batcher(predictor, **options)
        try:
            calls = (batcher.predict(X, verbose=i % 2 == 1) for i, X in enumerate(rows))
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            batcher.close()

    return loop_thread.call(together())


def test_everyone_gets_the_prediction_of_their_own_rows(loop_thread: LoopThread) -> None:
    predictor = LinearPredictor([1, 10], pause_s=0.01)
    inputs = [np.arange(2 * n, dtype=np.float32).reshape(n, 2) + n for n in (1, 3, 2, 5, 1)]
    answers = run(loop_thread, predictor, *inputs)
    for X, answer in zip(inputs, answers, strict=True):
        np.testing.assert_array_equal(answer["score"], X @ predictor.weights)


def test_those_who_wait_are_predicted_as_one_batch(loop_thread: LoopThread) -> None:
    predictor = LinearPredictor([1, 10], pause_s=0.05)

    async def one_and_then_many() -> None:
        batcher = Batcher(predictor)
        first = asyncio.ensure_future(batcher.predict(row(0, 0), verbose=False))
        await _until_busy(batcher)
        await asyncio.gather(first, *(batcher.predict(row(i, i), verbose=False) for i in range(19)))
        batcher.close()

    loop_thread.call(one_and_then_many())
    assert predictor.batch_sizes == [1, 19]


def test_those_who_arrive_together_are_predicted_as_one_batch_on_the_loop_where_that_is_quick(
    loop_thread: LoopThread,
) -> None:
    predictor = Watched()

    async def many_and_again() -> None:
        batcher = Batcher(predictor, quick_s=QUICK_S)
        for n in (19, 19, 1):  # a thread finds out how long so many rows take
            await asyncio.gather(*(batcher.predict(row(i, i), verbose=False) for i in range(n)))
        batcher.close()

    loop_thread.call(many_and_again())
    assert sum(predictor.batch_sizes[:-2]) == 19
    assert predictor.batch_sizes[-2:] == [19, 1]
    assert predictor.threads[0] == "predictor"
    assert predictor.threads[-2:] == [loop_thread.name, loop_thread.name]


def test_what_was_not_quick_is_for_the_thread_until_it_is_again(loop_thread: LoopThread) -> None:
    predictor = Watched()

    async def slow_once() -> None:
        batcher = Batcher(predictor, quick_s=QUICK_S)
        for pause_s in (0, 1.5 * QUICK_S, 0, 0):
            predictor.pause_s = pause_s
            await batcher.predict(row(1, 1), verbose=False)
        batcher.close()

    loop_thread.call(slow_once())
    assert predictor.threads == ["predictor", loop_thread.name, "predictor", loop_thread.name]


def test_more_rows_than_were_quick_are_for_the_thread(loop_thread: LoopThread) -> None:
    predictor = Watched()

    async def few_then_many() -> None:
        batcher = Batcher(predictor, quick_s=QUICK_S)
        for n in (2, 2, 3):
            await batcher.predict(np.ones((n, 2), dtype=np.float32), verbose=False)
        batcher.close()

    loop_thread.call(few_then_many())
    assert predictor.threads == ["predictor", loop_thread.name, "predictor"]


def test_rows_that_failed_at_once_are_no_quick_ones(loop_thread: LoopThread) -> None:
    class Failing(Watched):
        def predict(self, X: NDArray[np.float32], *, verbose: bool) -> dict[str, NDArray[Any]]:
            answer = super().predict(X, verbose=verbose)
            if len(self.threads) == 1:
                raise ValueError("not yet")
            return answer

    predictor = Failing()

    async def fails_and_then_not() -> None:
        batcher = Batcher(predictor, quick_s=QUICK_S)
        with pytest.raises(ModelFault):
            await batcher.predict(np.ones((50, 2), dtype=np.float32), verbose=False)
        await batcher.predict(np.ones((50, 2), dtype=np.float32), verbose=False)
        batcher.close()

    loop_thread.call(fails_and_then_not())
    assert predictor.threads == ["predictor", "predictor"]


def test_the_loop_predicts_nothing_while_the_thread_does(loop_thread: LoopThread) -> None:
    predictor = Watched()

    async def one_waits_for_the_other() -> None:
        batcher = Batcher(predictor, quick_s=QUICK_S)
        await batcher.predict(row(1, 1), verbose=False)  # one row is quick
        predictor.pause_s = 0.02
        slow = asyncio.ensure_future(batcher.predict(np.ones((5, 2), dtype=np.float32), verbose=False))
        await _until_busy(batcher)
        await asyncio.gather(slow, batcher.predict(row(1, 1), verbose=False))
        batcher.close()

    loop_thread.call(one_waits_for_the_other())
    assert predictor.threads == ["predictor", "predictor", "predictor"]


class Watched(LinearPredictor):
    """Remembers which thread it was called on."""

    def __init__(self) -> None:
        super().__init__([1, 10])
        self.threads: list[str] = []

    def predict(self, X: NDArray[np.float32], *, verbose: bool) -> dict[str, NDArray[Any]]:
        self.threads.append(threading.current_thread().name)
        return super().predict(X, verbose=verbose)


async def _until_busy(batcher: Batcher) -> None:
    while not batcher.busy_s():
        await asyncio.sleep(0.001)


def test_a_batch_is_not_extended_beyond_its_limit(loop_thread: LoopThread) -> None:
    predictor = LinearPredictor([1, 10], pause_s=0.02)
    run(loop_thread, predictor, *(row(i, i) for i in range(20)), n_batch_rows=4)
    assert max(predictor.batch_sizes) <= 4


def test_one_more_than_may_wait_is_throttled(loop_thread: LoopThread) -> None:
    predictor = LinearPredictor([1, 10], pause_s=0.05)
    answers = run(loop_thread, predictor, *(row(i, i) for i in range(10)), n_waiting=3)
    throttled = [answer for answer in answers if isinstance(answer, Throttled)]
    assert len(throttled) in (6, 7)
    assert "3 requests are waiting" in throttled[0].message


def test_a_row_that_breaks_the_model_does_not_spoil_the_others(
    loop_thread: LoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    predictor = LinearPredictor([1, 10], pause_s=0.02)
    answers = run(loop_thread, predictor, row(1, 1), row(2, 2), row(666, 1), row(3, 3))
    assert [isinstance(answer, ModelFault) for answer in answers] == [False, False, True, False]
    assert answers[2].original_message == "ArithmeticError: the number of the beast"
    assert "Traceback" in caplog.text
    assert "in predict" in caplog.text


class Exiting:
    n_features = 1

    def predict(self, X: NDArray[np.float32], *, verbose: bool) -> dict[str, NDArray[Any]]:
        if X[0, 0] == 1:
            raise SystemExit(3)
        return {"score": X[:, 0][: 1 if X[0, 0] == 2 else None]}


def test_a_model_that_exits_does_not_take_the_thread_along(loop_thread: LoopThread) -> None:
    first, second = run(loop_thread, Exiting(), row(1)), run(loop_thread, Exiting(), row(1), row(5))
    assert isinstance(first[0], ModelFault)
    assert isinstance(second[0], ModelFault)
    assert second[1]["score"].tolist() == [5]


def test_an_answer_of_another_length_is_the_models_fault(loop_thread: LoopThread) -> None:
    (answer,) = run(loop_thread, Exiting(), np.array([[2], [2]], dtype=np.float32))
    assert isinstance(answer, ModelFault)
    assert "1 values of score for 2 rows" in answer.message


def test_a_request_whose_client_went_away_is_not_predicted(loop_thread: LoopThread) -> None:
    predictor = LinearPredictor([1, 10], pause_s=0.05)

    async def one_leaves() -> None:
        batcher = Batcher(predictor)
        first = asyncio.ensure_future(batcher.predict(row(0, 0), verbose=False))
        await _until_busy(batcher)
        calls = [asyncio.ensure_future(batcher.predict(row(i, i), verbose=False)) for i in range(3)]
        await asyncio.sleep(0)
        calls[2].cancel()
        await first
        await asyncio.gather(*calls[:2])
        batcher.close()

    loop_thread.call(one_leaves())
    assert predictor.batch_sizes == [1, 2]


def test_a_busy_predictor_says_for_how_long(loop_thread: LoopThread) -> None:
    async def watch() -> tuple[float, float, float]:
        batcher = Batcher(LinearPredictor([1, 10], pause_s=0.1))
        before = batcher.busy_s()
        call = asyncio.ensure_future(batcher.predict(row(1, 1), verbose=False))
        await _until_busy(batcher)
        await asyncio.sleep(0.01)
        during = batcher.busy_s()
        await call
        after = batcher.busy_s()
        batcher.close()
        return before, during, after

    before, during, after = loop_thread.call(watch())
    assert before == after == 0
    assert during >= 0.01
