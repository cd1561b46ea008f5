"""The code of a model that a script serves: laid out in the model's `code/`, and the interpreter that runs it.

Django-free. Called by hosts on a thread, since packages that a script asks for may take minutes to install.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from endpoints.model_files import MODEL_FOLDER, ModelUnavailable, SourceArchive, model_lay_out
from endpoints.serving.script_outline import CODE_FOLDER
from jobs.runner.script_environment import (
    REQUIREMENTS,
    EnvironmentCancelled,
    requirements_read,
    script_environment,
)
from mlplatform.core.errors import DataError
from mlplatform.core.storage.store import ObjectStore
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of


@dataclass(frozen=True)
class ModelCode:
    """How a model that a script serves is served.

    Args:
        entry_point: The script in the model's `code/`; empty for `inference.py` there, if there is one.
        source: Laid out as the model's `code/`; None for what the model's own archive has there.
        environments: Where environments of scripts are kept on this machine.
    """

    framework: str
    entry_point: str
    environments: Path
    source: SourceArchive | None = None


def served_lay_out(
    *,
    artifact_uri: str,
    sha256: str,
    code: ModelCode | None,
    folder: Path,
    store: ObjectStore,
    say: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Path:
    """Lays the model and its code out in `folder`; the interpreter that is to serve it.

    Args:
        say: Takes each line that an installation prints.
        cancelled: Asked several times a second while something is installed.

    Raises:
        ModelUnavailable: whatever of it cannot be had, and why.
        OSError: what the disk refuses.
    """
    source = code.source if code is not None else None
    model_lay_out(artifact_uri=artifact_uri, sha256=sha256, folder=folder, store=store, source=source)
    if code is None:
        return Path(sys.executable)
    wanted = folder / MODEL_FOLDER / CODE_FOLDER / REQUIREMENTS
    if not wanted.is_file():
        return Path(sys.executable)
    try:
        return script_environment(
            requirements=requirements_read(wanted), folder=code.environments, say=say, cancelled=cancelled
        )
    except EnvironmentCancelled:
        raise ModelUnavailable(_("Nobody needs this model any more")) from None
    except DataError as error:
        raise ModelUnavailable(text_of(error)) from error
