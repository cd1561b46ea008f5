"""What it costs a job to print a million lines, how soon they can be read, and how a log so long opens.

    python -m benchmarks.log_lines [--lines 1000000] [--turns 5] [--base-url URL --token TOKEN]

The same program prints its lines into a pipe that `cat` empties, and as a job of a platform (a new one, or the one that
is named), where they are followed, searched for metrics and stored. The two take turns, so that a busy machine is busy
for both; the time is the program's own, from its first line to its last. It prints as a job's Python does, which
buffers nothing. When its last line can be read by REST is asked every 50 ms. Then another job prints the time every
50 ms, and its log is followed by the events that the page follows; and the long log is opened at its end.
Bars: 1.10 times the time, 1 s from print to reader, 1 s to open.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

from benchmarks.options import options_parser
from benchmarks.platform_stage import PROJECT, Rest, platform_options, platform_started
from benchmarks.verdict import verdict

RATIO_BAR: Final = 1.10
LAG_BAR_S: Final = 1.0
OPEN_BAR_S: Final = 1.0
N_OPENED: Final = 5
_PRINTS: Final = """
import sys, time
begun = time.perf_counter()
for n in range(%d):
    print("line", n, "of what the job has to say")
print("seconds=%%r at=%%d" %% (time.perf_counter() - begun, time.time_ns() // 1_000_000), file=sys.stderr)
"""
_TELLS_THE_TIME: Final = """
import time
for n in range(100):
    print("printed at=%d" % (time.time_ns() // 1_000_000))
    time.sleep(0.05)
"""
_LEAVES_A_MODEL: Final = "\nimport os\nopen(os.path.join(os.environ['SM_MODEL_DIR'], 'model'), 'w').close()\n"
_SAID: Final = re.compile(r"seconds=([0-9.e-]+) at=(\d+)")


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=5)
    platform_options(parser)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mlp-bench-", ignore_cleanup_errors=True) as folder,
        platform_started(Path(folder), options) as rest,
    ):
        lags_s = _slowed(rest, options.lines, options.turns)
        lags_s += _followed(rest)
        opened_s = _opened(rest, options.lines)
    print(f"from print to reader: {len(lags_s)} lines, median {median(lags_s):.2f} s")
    verdict("from print to reader, the slowest", max(lags_s), LAG_BAR_S, unit="s")
    verdict("the end of the log opened", opened_s, OPEN_BAR_S, unit="s")


def _slowed(rest: Rest, n_lines: int, n_turns: int) -> list[float]:
    """Compares the two; seconds from each job's last line to its reader."""
    drained, jobs, lags_s = [], [], []
    for turn in range(n_turns + 1):
        drained_s = _drained_s(n_lines)
        job_s, lag_s = _job_s(rest, f"loud-{turn}", n_lines)
        if turn:  # the first is for the machine's caches, and makes the first process ahead
            drained.append(drained_s)
            jobs.append(job_s)
            lags_s.append(lag_s)
    ratio = median(ours / theirs for ours, theirs in zip(jobs, drained, strict=True))
    print(
        f"{n_lines:,} lines, {n_turns} times: emptied {median(drained):.2f} s, as a job {median(jobs):.2f} s"
    )
    verdict("a job that prints, against a pipe that is emptied", ratio, RATIO_BAR, unit="times")
    return lags_s


def _drained_s(n_lines: int) -> float:
    """Seconds of the program with its output emptied."""
    printing = subprocess.Popen(
        [sys.executable, "-c", _PRINTS % n_lines],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    with subprocess.Popen(["cat"], stdin=printing.stdout, stdout=subprocess.DEVNULL):
        assert printing.stdout is not None
        printing.stdout.close()
        said = printing.communicate()[1].decode()
    return float(_said(said)[1])


def _job_s(rest: Rest, name: str, n_lines: int) -> tuple[float, float]:
    """The same of the program as a job, and seconds from its last line to the reader's answer."""
    _start(rest, name, _PRINTS % n_lines)
    while True:
        log = rest.call("GET", f"{PROJECT}/training-jobs/{name}/logs/?tail=1")
        found = _SAID.search(log["text"])
        if found is not None:
            lag_s = time.time() - int(found[2]) / 1000
            break
        if log["end"]:
            raise RuntimeError(f"{name} has ended: {log['text']}")
        time.sleep(0.05)
    _end(rest, name)
    return float(found[1]), lag_s


def _followed(rest: Rest) -> list[float]:
    """Seconds from each line's printing to its arrival where the log is followed."""
    name = "tells-the-time"
    _start(rest, name, _TELLS_THE_TIME)
    lags_s = []
    for text in _events(rest, f"{PROJECT}/training-jobs/{name}/logs/stream/"):
        now = time.time()
        lags_s += [now - int(at) / 1000 for at in re.findall(r"printed at=(\d+)", text)]
    _end(rest, name)
    return lags_s


def _events(rest: Rest, path: str) -> Iterator[str]:
    """The text of each event of a followed log."""
    request = urllib.request.Request(f"{rest.base_url}/api/v1/{path}", headers=rest.authorization)
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: ")).get("text", "")


def _opened(rest: Rest, n_lines: int) -> float:
    """Seconds until the last 500 lines of the long log are there."""
    spent = []
    for _ in range(N_OPENED):
        begun = perf_counter()
        log = rest.call("GET", f"{PROJECT}/training-jobs/loud-1/logs/?tail=500")
        spent.append(perf_counter() - begun)
        if log["first_line"] < n_lines - 500 or not _SAID.search(log["text"]):
            raise RuntimeError(f"that is not the end: line {log['first_line']:,}")
    return median(spent)


def _start(rest: Rest, name: str, program: str) -> None:
    script: dict[str, Any] = {
        "framework": "sklearn",
        "entry_point": "train.py",
        "files": {"train.py": program + _LEAVES_A_MODEL},
    }
    rest.call("POST", f"{PROJECT}/training-jobs/", {"name": name, "script": script})


def _end(rest: Rest, name: str) -> None:
    rest.until(f"{PROJECT}/training-jobs/{name}/", "status", "Completed")


def _said(text: str) -> re.Match[str]:
    found = _SAID.search(text)
    if found is None:
        raise RuntimeError(f"the program says {text!r}")
    return found


if __name__ == "__main__":
    main()
