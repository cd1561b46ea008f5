"""`python -m jobs.tuning`: the process that asks Optuna. JSON lines in, a JSON line out for each.

Started by `jobs.tuning.asker`, which tells it every trial it asks about; it sees no database, no data and no secret.
It ends when nobody has asked for a while, and with who started it. A study that it does not have is answered with
`{"unknown": true}`, whereupon everything is told again.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

IDLE_S: Final = 300.0
STUDIES_MAX: Final = 8


def main() -> int:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    desk = _Desk()
    _say(answers, {"ready": True})
    while True:
        ready, _writing, _faults = select.select([asked], [], [], IDLE_S)
        line = asked.readline() if ready else b""
        if not line:
            return 0
        try:
            answer = desk.answer(json.loads(line))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        _say(answers, answer)


class _Desk:
    """The studies that are kept, the least recently asked about given up first."""

    def __init__(self) -> None:
        self._studies: OrderedDict[str, Any] = OrderedDict()

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked["op"] == "importance":
            return _importance(asked)
        from jobs.tuning.studies import OutOfStep, TrialTold

        study = self._study(asked)
        if study is None:
            return {"unknown": True}
        try:
            study.tell([TrialTold(**trial) for trial in asked["trials"]])
            if asked["op"] == "suggest":
                suggestion = study.suggest(asked["number"])
                return {"parameters": suggestion.parameters, "internal": suggestion.internal}
            return {"stops": study.stops([TrialTold(**trial) for trial in asked["running"]])}
        except OutOfStep:
            self._studies.pop(asked["study"], None)
            return {"unknown": True}
        except BaseException:
            self._studies.pop(asked["study"], None)
            raise

    def _study(self, asked: Mapping[str, Any]) -> Any:
        from jobs.tuning.studies import StudySpec, TuningStudy

        name = asked["study"]
        if asked.get("spec") is not None:
            self._studies[name] = TuningStudy(StudySpec.from_json(asked["spec"]))
        if name in self._studies:
            self._studies.move_to_end(name)
        while len(self._studies) > STUDIES_MAX:
            self._studies.popitem(last=False)
        return self._studies.get(name)


def _importance(asked: Mapping[str, Any]) -> dict[str, Any]:
    from jobs.tuning.importance import importance_of
    from jobs.tuning.ranges import ranges_from_json
    from mlplatform.core.text import to_json

    values, evaluator, reason = importance_of(
        ranges=ranges_from_json(asked["ranges"]),
        direction=asked["direction"],
        trials=asked["trials"],
        seed=asked["seed"],
    )
    return {"values": values, "evaluator": evaluator, "reason": to_json(reason)}


def _say(answers: BinaryIO, answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
