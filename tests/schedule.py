"""Which test process runs what: all tests that need the running platform are one process' work, so that there is one.

The plugin's own groups are told by a suffix of a test's id, which newer versions of pytest do not let it set any more;
so here it is told by the place of the test.
"""

from __future__ import annotations

from typing import Any, Final

from xdist.scheduler import LoadGroupScheduling

LIVE_PLACES: Final = ("tests/browser/", "tests/journeys/", "tests/api/test_guide.py")
"""Where the fixture `platform` may be used."""


def is_live(nodeid: str) -> bool:
    return nodeid.startswith(LIVE_PLACES)


class LiveTogether(LoadGroupScheduling):
    """Every test is handed out by itself, to whoever is free, but for the live ones, which stay together."""

    def _split_scope(self, nodeid: str) -> str:
        return "live" if is_live(nodeid) else nodeid


def scheduler_of(config: Any, log: Any) -> LiveTogether | None:
    """The scheduler for `--dist loadgroup`; None for the plugin's own."""
    return LiveTogether(config, log) if config.getoption("dist") == "loadgroup" else None
