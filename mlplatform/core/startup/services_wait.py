"""A process' first step: waits for the services of the settings that it needs, or ends with one line that says why not.

Called by `manage.py` for our long-running commands before Django is loaded, and as `python -m` by `manage.py up`, once,
before anything else is started. On one machine without settings nothing is asked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, NoReturn

from mlplatform.core.env import env_int
from mlplatform.core.startup.addresses import (
    BROKER,
    DATABASE,
    SETTINGS,
    STORE,
    Trouble,
    addresses_check,
    addresses_given,
)
from mlplatform.core.startup.services import service_ask

EXIT_WRONG: Final = 78
"""As sysexits.h has it for a configuration error: starting again does not help."""
EXIT_AWAY: Final = 75
"""A temporary failure: what was needed was not there in time."""
EVERY_S: Final = 1.0
TOLD_EVERY_S: Final = 5.0

NEEDS: Final = {
    "up": (DATABASE, BROKER, STORE),
    "migrate": (DATABASE,),
    "web": (DATABASE,),
    "gateway": (DATABASE,),
    "worker": (DATABASE, BROKER, STORE),
    "host": (DATABASE, STORE),
    "scheduler": (DATABASE,),
    "first_run": (DATABASE, STORE),
}
"""What each command cannot begin without. What else is set is asked once, and only told: it may come later."""
ONCE: Final = {
    "access_key": (DATABASE,),
    "doctor": (),
    "objects": (),
    "orphans": (DATABASE, STORE),
    "sign_in": (DATABASE,),
}
"""What a person asks for, who does not want to wait: what is away ends these at once. The doctor looks for itself."""
_MIGRATE: Final = ("up", "migrate")


def services_wait(
    command: str,
    *,
    ask: Callable[..., Trouble | None] = service_ask,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Returns when all that the command needs answers.

    Raises:
        SystemExit: 78, and a line on standard error, where a setting is wrong; 75 where what is away did not come
            within `MLPLATFORM_START_PATIENCE_S`.
    """
    wrong = addresses_check()
    if wrong:
        _end(command, wrong[0])
    given = addresses_given()
    if not given:
        return
    patience_s, needed = _patience_s(command), NEEDS.get(command) or ONCE[command]
    began_at = monotonic()
    for setting in SETTINGS:
        if setting not in given or (command in ONCE and setting not in needed):
            continue
        told_at: float | None = None
        while trouble := ask(setting, given[setting], migrates=command in _MIGRATE):
            now = monotonic()
            if setting not in needed:
                _say(command, f"goes on without {trouble.line}")
                break
            if not trouble.passes or command in ONCE:
                _end(command, trouble)
            if patience_s and now - began_at > patience_s:
                _say(command, f"gives up after {patience_s} s: {trouble.line}")
                raise SystemExit(EXIT_AWAY)
            if told_at is None or now - told_at >= TOLD_EVERY_S:
                _say(command, f"waits for {trouble.line}")
                told_at = now
            sleep(EVERY_S)
        else:
            if told_at is not None:
                _say(command, f"{setting} answers now, after {monotonic() - began_at:.0f} s")


def _patience_s(command: str) -> int:
    try:
        return env_int("MLPLATFORM_START_PATIENCE_S", 0)
    except ValueError as error:
        _say(command, f"the settings cannot be used: {error}")
        raise SystemExit(EXIT_WRONG) from None


def _end(command: str, trouble: Trouble) -> NoReturn:
    _say(command, f"cannot start: {trouble.line}")
    raise SystemExit(EXIT_AWAY if trouble.passes else EXIT_WRONG)


def _say(command: str, words: str) -> None:
    print(f"mlplatform {command}: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    services_wait("up")
