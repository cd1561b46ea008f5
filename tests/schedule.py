"""Which test process runs what, and when: what shares something expensive stays together, what waits long begins first.

Two cores are shared by tests that compute and tests that wait, for a fault to pass or a page to change. A test file
is one process' work, since its tests share a module's fixtures: a street of one of everything, a stage of processes, a
platform of its own. Tests of the running platform make two groups, each with a platform: those in a browser, and the
journeys.

The plugin's own groups are told by a suffix of a test's id, which newer versions of pytest do not let it set any more;
so here it is told by the place of the test.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Final

import pytest
from xdist.scheduler import LoadGroupScheduling

LIVE_PLACES: Final = ("tests/browser/", "tests/journeys/", "tests/api/test_guide.py")
"""Where the fixture `platform` may be used."""
_IN_A_BROWSER: Final = "tests/browser/"
WAITING_PLACES: Final = (
    "tests/faults/",
    "tests/many/",
    "tests/setup/",
    "tests/jobs/training/test_processes.py",
)
"""Where tests wait more than they compute, some for a minute."""
LONG_PLACES: Final = (
    "tests/jobs/training/test_state_machine.py",
    "tests/endpoints/test_state_machine.py",
    "tests/jobs/algorithms/knn/test_covertype.py",
    "tests/test_deploy_guide.py",
    "tests/api/test_openapi.py",
)
"""Few tests of a minute and more: what is long begins early, or one process is left with it at the end."""


PERHAPS_LATE: Final = 9
"""Exit status of a run in which a few tests failed, all of them in places where times are promised."""
_FEW: Final = 5


def perhaps_late(nodeids: list[str]) -> bool:
    """Whether those that failed may only have been late: more processes than cores can make any promise of a time late.
    `make test` runs such tests once more, alone. What computes, asks a database or draws a page has no such excuse.
    """
    waits = (*LIVE_PLACES, *WAITING_PLACES)
    return 0 < len(nodeids) <= _FEW and all(nodeid.startswith(waits) for nodeid in nodeids)


def is_live(nodeid: str) -> bool:
    return nodeid.startswith(LIVE_PLACES)


def scope_of(nodeid: str) -> str:
    """What is one process' work together with this test."""
    if not is_live(nodeid):
        return nodeid.partition("::")[0]
    return "live in a browser" if nodeid.startswith(_IN_A_BROWSER) else "live"


def arrange(items: list[pytest.Item]) -> None:
    """The live tests first; then files that wait, in turns with those that compute, of which the longest come first and
    then those with the most tests.
    """
    sizes = Counter(scope_of(item.nodeid) for item in items)
    live = sorted(scope for scope in sizes if scope.startswith("live"))
    files = sorted(
        sizes.keys() - set(live), key=lambda scope: (scope not in LONG_PLACES, -sizes[scope], scope)
    )
    waiting = [scope for scope in files if scope.startswith(WAITING_PLACES)]
    computing = [scope for scope in files if not scope.startswith(WAITING_PLACES)]
    turns = itertools.chain.from_iterable(itertools.zip_longest(waiting, computing))
    rank = {scope: n for n, scope in enumerate([*live, *filter(None, turns)])}
    items.sort(key=lambda item: rank[scope_of(item.nodeid)])


class ByFile(LoadGroupScheduling):
    """Hands out the scopes in the order of `arrange`."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scheduler_of(config: pytest.Config, log: Any) -> ByFile | None:
    """The scheduler for `--dist loadgroup`; None for the plugin's own."""
    return ByFile(config, log) if config.getoption("dist") == "loadgroup" else None
