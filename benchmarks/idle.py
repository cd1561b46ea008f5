"""What an idle platform takes: memory and processor time of everything that `make run` starts, after its first run.

    python -m benchmarks.idle [--seconds 60] [--warm]

The Iris endpoint of the first run is deployed and answers. Processes that wait for the next training job (warm ones)
go after their idle time, which is 120 s by default and 5 s here; with `--warm` they are measured too. Memory is the
proportional share (PSS); the resident size (RSS) counts what processes share once for each of them. Processor time is
in percent of one core. Bars: 500 MB of PSS, 2 % of a core.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from benchmarks.options import options_parser
from benchmarks.platform_processes import (
    MB,
    Memory,
    memory_by_name,
    platform_processes,
    platform_root,
    process_name,
)
from benchmarks.platform_stage import platform_started
from benchmarks.verdict import verdict

BAR_MB: Final = 500.0
BAR_CPU_PERCENT: Final = 2.0
SETTLE_S: Final = 20.0
WARM_IDLE_S: Final = 5


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--warm", action="store_true", help="warm processes stay")
    options = parser.parse_args()
    if not options.warm:
        os.environ["MLPLATFORM_WARM_IDLE_S"] = str(WARM_IDLE_S)
    with (
        tempfile.TemporaryDirectory(prefix="mlp-bench-", ignore_cleanup_errors=True) as folder,
        platform_started(Path(folder)),
    ):
        time.sleep(SETTLE_S)
        sys.exit(0 if _measure(platform_root(), options.seconds) else 1)


def _measure(root: psutil.Process, seconds: float) -> bool:
    before = _processor_s(root)
    time.sleep(seconds)
    after = _processor_s(root)
    memory = memory_by_name(root)
    percent: dict[str, float] = defaultdict(float)
    for (pid, name), spent_s in after.items():
        percent[name] += 100 * (spent_s - before.get((pid, name), 0.0)) / seconds
    print(f"{'':14}{'PSS MB':>9}{'RSS MB':>9}{'% of a core':>13}")
    for name in sorted(memory, key=lambda name: -memory[name].pss):
        print(_line(name, memory[name], percent[name]))
    together = sum(memory.values(), Memory())
    total_percent = sum(percent.values())
    print(_line("together", together, total_percent))
    print(f"  the machine's load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    is_met = verdict("memory of an idle platform", together.pss / MB, BAR_MB, unit="MB")
    return (
        verdict("processor time of an idle platform", total_percent, BAR_CPU_PERCENT, unit="% of a core")
        and is_met
    )


def _line(name: str, memory: Memory, percent: float) -> str:
    return f"  {name:12}{memory.pss / MB:9.1f}{memory.rss / MB:9.1f}{percent:13.2f}"


def _processor_s(root: psutil.Process) -> dict[tuple[int, str], float]:
    """Seconds of each process so far, by its id and name."""
    found: dict[tuple[int, str], float] = {}
    for process in platform_processes(root):
        with suppress(psutil.Error):
            times = process.cpu_times()
            found[process.pid, process_name(process)] = times.user + times.system
    return found


if __name__ == "__main__":
    main()
