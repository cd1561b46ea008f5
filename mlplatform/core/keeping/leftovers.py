"""Files of dead processes on this machine: found by what each room says of its folders, removed when old enough.

Not objects that have come whole into the store (`mlplatform.core.keeping.orphans`). A room registers its places with
`@leftovers`; what a place yields is nobody's, as far as it can tell, and is removed when nothing in it has changed for
the grace time. Called by the scheduler's sweep.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.conf import settings

from mlplatform.core.keeping.sweeps import Lane, Swept, sweep
from mlplatform.core.storage.trees import tree_remove

logger = logging.getLogger(__name__)
EVERY_S: Final = 600
REST_S: Final = 600
"""After the clock was set or the machine slept all files look old; whoever uses some has written to them by then."""
BATCH: Final = 2000

Place = Callable[[], Iterator[Path]]
_PLACES: Final[dict[str, Place]] = {}


def leftovers(name: str) -> Callable[[Place], Place]:
    """Registers a place: yields files and folders that no living process of ours uses, of any age."""

    def register(place: Place) -> Place:
        _PLACES[name] = place
        return place

    return register


@sweep("leftovers", every_s=EVERY_S, rest_s=REST_S, lane=Lane.SLOW)
def leftovers_sweep() -> Swept:
    """Removes leftovers of every place; each is told in the log. A place that cannot be read holds up no other."""
    removed = {name: _clear_or_tell(name) for name in _PLACES}
    found = {name: n for name, n in removed.items() if n}
    return Swept(sum(found.values()), again=any(n >= BATCH for n in found.values()), detail=found)


def leftovers_clear(*, name: str, grace_s: float | None = None) -> int:
    """Removes what one place has left that is older than the grace time; how many things that were."""
    oldest = time.time() - (grace_of_files_s() if grace_s is None else grace_s)
    n_removed = 0
    for path in _PLACES[name]():
        if n_removed >= BATCH:
            break
        try:
            if _changed_at(path) < oldest:
                _remove(path)
                n_removed += 1
                logger.info("%s: %s was left over and is removed", name, path)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("%s: %s is left over and cannot be removed: %s", name, path, error)
    return n_removed


def grace_of_files_s() -> float:
    """The grace time of orphans; files of dead processes go too where orphans are kept for ever."""
    return float(settings.MLPLATFORM_ORPHAN_GRACE_S) or 24 * 3600.0


def _clear_or_tell(name: str) -> int:
    try:
        return leftovers_clear(name=name)
    except OSError as error:
        logger.warning("%s: what is left over cannot be looked for: %s", name, error)
        return 0


def _changed_at(path: Path) -> float:
    """When anything in it was last changed, moved here or added."""
    status = path.lstat()
    newest = max(status.st_mtime, status.st_ctime)
    with suppress(RecursionError):  # deeper than anybody goes who still writes there
        for folder, _, files in os.walk(path):
            for name in [".", *files]:
                status = (Path(folder) / name).lstat()
                newest = max(newest, status.st_mtime, status.st_ctime)
    return newest


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        tree_remove(path)
    else:
        path.unlink()
