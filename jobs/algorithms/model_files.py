"""The files of a model: native ones of the algorithm's library, and `model.json` that describes them.

The description has the digest of every file, which is checked before a library reads one: libraries end the process
over a damaged file, or read it as something else. k-NN, which has formats of the managed service, does without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlplatform.core.errors import ModelError

DESCRIPTION: Final = "model.json"
VERSION: Final = 1


def description_write(model_dir: Path, *, algorithm: str, content: Mapping[str, Any]) -> None:
    """Writes `model.json` beside the files that are in the folder already.

    Args:
        content: JSON-ready values under names of the algorithm's own.
    """
    files = {path.name: _digest(path) for path in sorted(model_dir.iterdir()) if path.name != DESCRIPTION}
    text = json.dumps(
        {"algorithm": algorithm, "version": VERSION, "files": files, **content}, ensure_ascii=False, indent=1
    )
    (model_dir / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def description_read(model_dir: Path, *, algorithm: str) -> dict[str, Any]:
    """What `description_write` was given, once all files are found to be as they were then.

    Raises:
        ModelError: A file is missing or damaged, or the model is another algorithm's.
    """
    try:
        found = json.loads((model_dir / DESCRIPTION).read_text(encoding="utf-8"))
        _kind_check(found, algorithm)
        for name, digest in found["files"].items():
            if _digest(model_dir / Path(name).name) != digest:
                raise ModelError(f"The model's file {name} is damaged: it is not as it was written")
    except OSError as error:
        name = Path(error.filename or DESCRIPTION).name
        raise ModelError(f"The model has no readable file {name}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The model's {DESCRIPTION} is not of a model of {algorithm}: {error}") from error
    description: dict[str, Any] = found
    return description


def _kind_check(found: Any, algorithm: str) -> None:
    if found["algorithm"] != algorithm:
        raise ValueError(f"it says {found['algorithm']!r}")
    if found["version"] != VERSION:
        raise ValueError(f"its version is {found['version']!r}; {VERSION} was expected")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
