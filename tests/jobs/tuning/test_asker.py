"""The process that asks Optuna: kept, told only what is new, started anew when it died."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from collections.abc import Iterator, Sequence

import psutil
import pytest

from jobs.tuning import asker as asker_module
from jobs.tuning.asker import Asker, AskerFault, History, SamplerError, Told, importance_ask
from tests.polling import wait_until

RANGES = [{"name": "x", "type": "Continuous", "min": 0.0, "max": 1.0, "scaling": "Linear"}]
SPEC = {
    "name": "u",
    "strategy": "Bayesian",
    "direction": "Minimize",
    "ranges": RANGES,
    "seed": 1,
    "hyperband": None,
    "known": [],
    "first": [],
}


class Rows:
    """Trials as rows have them, and what was loaded of them."""

    def __init__(self) -> None:
        self.told: dict[int, Told] = {}
        self.loaded: list[list[int]] = []

    def history(self) -> History:
        return History({number: found.state for number, found in self.told.items()}, self._load)

    def _load(self, numbers: Sequence[int]) -> list[Told]:
        self.loaded.append(list(numbers))
        return [self.told[number] for number in numbers]

    def play(self, asker: Asker, n: int) -> list[str]:
        """`n` more trials; their texts."""
        texts = []
        for number in range(len(self.told) + 1, len(self.told) + n + 1):
            found = asker.suggest(study="u", spec=SPEC, history=self.history(), number=number)
            self.told[number] = Told(number, "complete", found.internal, found.internal["x"])
            texts.append(found.parameters["x"])
        return texts


@pytest.fixture
def asker() -> Iterator[Asker]:
    made = Asker()
    yield made
    made.close()


def process_of(asker: Asker) -> psutil.Process:
    assert asker._process is not None
    return psutil.Process(asker._process._popen.pid)


def test_only_what_is_new_is_told_and_a_process_that_died_is_told_everything(asker: Asker) -> None:
    rows, alone = Rows(), Rows()
    texts = rows.play(asker, 6)
    assert rows.loaded == [[1], [2], [3], [4], [5]]
    process = process_of(asker)
    os.kill(process.pid, signal.SIGKILL)
    texts += rows.play(asker, 6)
    assert [1, 2, 3, 4, 5, 6] in rows.loaded
    assert process_of(asker).pid != process.pid
    asker.forget(study="u")
    assert alone.play(asker, 12) == texts, "a restart changes what is suggested"


def test_a_suggestion_that_was_not_used_is_made_again(asker: Asker) -> None:
    rows = Rows()
    rows.play(asker, 3)
    first = asker.suggest(study="u", spec=SPEC, history=rows.history(), number=4)
    asker.forget(study="u")
    assert asker.suggest(study="u", spec=SPEC, history=rows.history(), number=4) == first


FIRST_LINE = b'{"ready": true}\n'


def test_an_answer_that_comes_together_with_the_first_line_is_not_waited_for(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine, where the process has answered before anybody came to read that it is ready."""
    monkeypatch.setattr(asker_module, "ANSWER_WITHIN_S", 10.0)
    read_line = asker_module._Process._line
    first_process: list[int] = []
    lines: list[bytes] = []

    def late(process: asker_module._Process) -> bytes:
        if not first_process:
            out = process._popen.stdout
            assert out is not None
            wait_until(lambda: n_waiting(out.fileno()) > len(FIRST_LINE), timeout_s=60, what="the answer")
            first_process.append(process._popen.pid)
        lines.append(read_line(process))
        return lines[-1]

    monkeypatch.setattr(asker_module._Process, "_line", late)
    assert Rows().play(asker, 1)
    assert [process_of(asker).pid] == first_process, "it was taken for dead"
    assert lines[0] + b"\n" == FIRST_LINE


def n_waiting(descriptor: int) -> int:
    """Bytes in a pipe."""
    found = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(found, sys.byteorder)


def test_what_breaks_in_the_sampler_is_told_and_the_process_goes_on(asker: Asker) -> None:
    wrong = SPEC | {"strategy": "Dowsing"}
    with pytest.raises(SamplerError, match="Dowsing"):
        asker.suggest(study="w", spec=wrong, history=Rows().history(), number=1)
    pid = process_of(asker).pid
    assert Rows().play(asker, 1) and process_of(asker).pid == pid


def test_rows_with_a_gap_are_a_fault_and_no_endless_loop(asker: Asker) -> None:
    with pytest.raises(AskerFault):
        asker.suggest(study="u", spec=SPEC, history=Rows().history(), number=3)


def test_the_process_has_none_of_our_environment_and_ends_when_closed(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPLATFORM_SECRET_KEY", "secret")
    Rows().play(asker, 1)
    process = process_of(asker)
    assert not any("SECRET" in name for name in process.environ())
    asker.close()
    wait_until(lambda: not process.is_running())


def test_importance_comes_from_a_process_of_its_own() -> None:
    trials = [{"parameters": {"x": str(n / 10)}, "value": n / 10} for n in range(10)]
    request = {"ranges": RANGES, "direction": "Minimize", "trials": trials, "seed": 1}
    assert importance_ask(request)["values"] == {"x": 1.0}
