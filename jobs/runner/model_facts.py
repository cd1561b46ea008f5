"""What an algorithm says of its model beside the files: JSON values for the model's manifest, by way of the job's
`output/model_facts.json`. Django-free.

The job process writes it, the worker reads it as what anybody may have written; the platform's own facts come before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jobs.runner.left_file import left_file_head

FILE_NAME: Final = "model_facts.json"
MAX_BYTES: Final = 64 * 1024


def model_facts_write(facts: Mapping[str, Any], output_dir: Path) -> None:
    (output_dir / FILE_NAME).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def model_facts_read(output_dir: Path) -> dict[str, Any]:
    """Empty where there are none, or what is there is no JSON object, too long, or nothing a database can keep."""
    try:
        text = left_file_head(output_dir, FILE_NAME, MAX_BYTES + 1)
        facts = json.loads(text)
        kept = json.dumps(facts, allow_nan=False).encode()
        json.dumps(facts, ensure_ascii=False).encode()  # no half of a surrogate pair
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict) or len(text) > MAX_BYTES or b"\\u0000" in kept:
        return {}
    return facts
