"""What is said of a script that failed: where in its own code, and whether it missed the network. Django-free, pure.

Called by the worker with the outcome that `jobs.runner.outcome` has told.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from jobs.runner.outcome import REASON_MAX, Outcome, Tail, failure_named, failure_of
from jobs.runner.script.arguments import ANNOUNCED
from mlplatform.core.status import FailureKind
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

NETWORK_SETTING: Final = "MLPLATFORM_SCRIPT_NETWORK"
_PLACE: Final = re.compile(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')
_NO_NETWORK: Final = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|getaddrinfo failed|nodename nor servname|Could not resolve host|Failed to resolve|EndpointConnectionError"
    r"|Failed to establish a new connection|NameResolutionError|Could not connect to the endpoint",
    re.IGNORECASE,
)


def script_outcome(outcome: Outcome, *, tail: Tail, code_dir: Path, network: bool) -> Outcome:
    """The outcome with the script's own file and line, and with how an operator allows the network it looked for.

    Args:
        tail: The last lines that it printed.
        code_dir: The folder of its code, as the process sees it.
        network: Whether it had the network.
    """
    if outcome.failure is None or outcome.failure["kind"] not in {
        FailureKind.EXCEPTION,
        FailureKind.ALGORITHM_ERROR,
    }:
        return outcome
    reason = _said(outcome)
    if _printed_nothing(tail) and outcome.failure.get("exit_code") and isinstance(reason, Text):
        code = outcome.failure["exit_code"]
        reason = _("The process ended with exit code {code}, and printed nothing", code=code)
    place = _place(tail, code_dir)
    if place and isinstance(reason, Text):  # what the script itself wrote as its reason stays as it is
        reason = _("{reason} ({place})", reason=reason, place=place)
    if not network and any(_NO_NETWORK.search(line) for line in tail.lines):
        reason = _(
            "{reason}. Scripts have no network here; an operator allows it with {setting}=1",
            reason=reason,
            setting=NETWORK_SETTING,
        )
    kind = FailureKind(outcome.failure["kind"])
    told = failure_of(kind, reason)
    failure = {**outcome.failure, "reason": told["reason"], "said": told["said"], "detail": _traceback(tail)}
    return replace(outcome, failure=failure, message=failure_named(kind, reason))


def _said(outcome: Outcome) -> str:
    """The reason with its template, where it has one: the message is `kind: reason`."""
    assert outcome.failure is not None
    params = outcome.message.params if isinstance(outcome.message, Text) else {}
    reason: str = params.get("reason") or str(outcome.failure["reason"])[:REASON_MAX]
    return reason


def _printed_nothing(tail: Tail) -> bool:
    """Whether the last that was printed is what we say before a script begins."""
    return [line for line in tail.lines if line.strip()][-2:-1] == [ANNOUNCED]


def _place(tail: Tail, code_dir: Path) -> str:
    """`train.py, line 12`: the innermost line of the script's own code in the last traceback."""
    begins = _begin(tail)
    found = [match for line in tail.lines[begins:] if (match := _PLACE.match(line))]
    own = [match for match in found if _within(match["file"], code_dir)]
    if not own:
        return ""
    return f"{_within(own[-1]['file'], code_dir)}, line {own[-1]['line']}"


def _traceback(tail: Tail) -> str:
    begins = _begin(tail)
    lines = tail.lines[begins:]
    is_one = any(_PLACE.match(line) for line in lines)
    return "\n".join(line[:500] for line in lines)[-8000:] if is_one else ""


def _begin(tail: Tail) -> int:
    begins = [
        index for index, line in enumerate(tail.lines) if line.startswith("Traceback (most recent call last)")
    ]
    if begins:
        return begins[-1]
    return max(0, len(tail.lines) - 8)


def _within(file: str, code_dir: Path) -> str:
    """The file's path in the folder of the code; empty for one elsewhere."""
    path = Path(file) if file.startswith("/") else code_dir / file
    return path.relative_to(code_dir).as_posix() if path.is_relative_to(code_dir) else ""
