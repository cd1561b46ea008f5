"""The code of a model that a script serves, for its page: of its source, or of `code/` in its archive."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Final

from endpoints.models import Model
from endpoints.serving.script_outline import CODE_FOLDER
from jobs.algorithms.registry import SCRIPT
from jobs.selectors.sources import source_content
from mlplatform.core.errors import NotFound, TransientError
from mlplatform.core.storage.archives import ArchiveError, archive_look
from mlplatform.core.storage.objects import object_store

ARCHIVE_MAX_BYTES: Final = 64 * 1024**2
"""A larger archive is not read through for a page: then only the names of the files are known."""
FILE_MAX_BYTES: Final = 1024**2


def model_code(*, model: Model) -> dict[str, bytes | None]:
    """The files by path; None where the content is too much for a page, or the artifact is away for the moment."""
    if model.algorithm != SCRIPT:
        return {}
    listed = [str(file["path"]) for file in (model.manifest.get("script") or {}).get("files", [])]
    try:
        if model.source is not None:
            return dict(source_content(source=model.source))
        if not listed or model.artifact_bytes > ARCHIVE_MAX_BYTES:
            return dict.fromkeys(listed)
        read = _of_archive(model.artifact_uri, tuple(listed))
    except (NotFound, TransientError, ArchiveError):
        return dict.fromkeys(listed)
    return {path: read.get(path) for path in listed}


@lru_cache(maxsize=16)
def _of_archive(uri: str, paths: tuple[str, ...]) -> dict[str, bytes]:
    """An artifact never changes. Raises as the store and `archive_look`."""
    prefix = f"{CODE_FOLDER}/"
    local = object_store().local_path(uri)
    with tempfile.TemporaryDirectory(prefix="model-code-") as folder:
        archive = local
        if archive is None:
            archive = Path(folder) / "model.tar.gz"
            object_store().download(uri, archive)
        sizes = archive_look(archive, limits_bytes={}).sizes
        wanted = [
            prefix + path for path in paths if sizes.get(prefix + path, FILE_MAX_BYTES + 1) <= FILE_MAX_BYTES
        ]
        found = archive_look(archive, limits_bytes=dict.fromkeys(wanted, FILE_MAX_BYTES))
    return {path.removeprefix(prefix): content for path, content in found.read.items()}
