"""How long the state machines run: the same short course every time, or by hand, for as long as one likes.

`MLPLATFORM_HYPOTHESIS=long .venv/bin/pytest tests/jobs/training/test_state_machine.py` tries new courses each time
and makes one that fails as short as it can; `MLPLATFORM_HYPOTHESIS=2000` says how many and shows it as it is.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_ASKED = os.environ.get("MLPLATFORM_HYPOTHESIS", "")


def machine_settings(*, n_examples: int, n_steps: int) -> settings:
    """For a state machine that in the short course may run `n_examples` times `n_steps` operations."""
    is_long = bool(_ASKED)
    return settings(
        max_examples=(int(_ASKED) if _ASKED.isdecimal() else 40 * n_examples) if is_long else n_examples,
        stateful_step_count=2 * n_steps if is_long else n_steps,
        derandomize=not is_long,
        deadline=None,
        database=None,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink) if _ASKED == "long" else (Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
