"""Lays a model's files out for its server: download or link, check the digest, unpack safely. Django-free.

Called by hosts on a thread. What is accepted of an archive is `mlplatform.core.storage.archives`. What was laid out
is used again when the server is started again, as long as no file of it has changed: a large model is back sooner.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from endpoints.serving.script_outline import CODE_FOLDER
from jobs.runner.source_files import ARCHIVE as SOURCE_ARCHIVE
from jobs.runner.source_files import source_unpack
from mlplatform.core.errors import PlatformError, StorageFull, StorageReadOnly
from mlplatform.core.storage.archives import ArchiveError, archive_unpack
from mlplatform.core.storage.faults import MODEL_FOLDER as MODEL_FOLDER_DISK
from mlplatform.core.storage.faults import storage_told
from mlplatform.core.storage.store import ObjectStore
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

MODEL_FOLDER = "model"
_SEAL = "laid_out.json"
"""Beside the model's folder: the artifact's digest, and size and time of every file of it."""


class ModelUnavailable(Exception):
    """The model could not be laid out for its server; the message says why."""


@dataclass(frozen=True)
class SourceArchive:
    """The archive of a script's source, with the recorded digest of the archive itself."""

    uri: str
    sha256: str


def model_lay_out(
    *, artifact_uri: str, sha256: str, folder: Path, store: ObjectStore, source: SourceArchive | None = None
) -> Path:
    """Unpacks a model's artifact into `folder / "model"`, if it is not there already; all else in `folder` is removed.

    Args:
        sha256: The recorded digest, which the artifact must have.
        source: The model's code, which takes the place of `code/` in the artifact.

    Returns:
        The folder of the model's files.

    Raises:
        ModelUnavailable: gone, another digest, an archive that is not accepted, or no room for it.
        OSError: anything else that the disk refuses.
    """
    seal = sha256 if source is None else f"{sha256} {source.sha256}"
    if _is_laid_out(folder, seal):
        _remove_all_but(folder, {MODEL_FOLDER, _SEAL})
        return folder / MODEL_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with storage_told(MODEL_FOLDER_DISK):
            folder.mkdir(mode=0o700, parents=True)
        archive = _fetched(artifact_uri, sha256, folder / "model.tar.gz", store)
        with storage_told(MODEL_FOLDER_DISK):
            archive_unpack(archive, folder / MODEL_FOLDER)
        if source is not None:
            _code_lay_out(source, folder, store)
        with storage_told(MODEL_FOLDER_DISK):
            (folder / _SEAL).write_text(json.dumps(_seal(folder, seal)))
        return folder / MODEL_FOLDER
    except (StorageFull, StorageReadOnly) as error:
        shutil.rmtree(folder, ignore_errors=True)  # half of it would only be in the way
        raise ModelUnavailable(error.message) from error
    except (PlatformError, ArchiveError) as error:
        said = _("The artifact {uri} cannot be used: {reason}", uri=artifact_uri, reason=text_of(error))
        raise ModelUnavailable(said) from error


def _fetched(uri: str, sha256: str, path: Path, store: ObjectStore) -> Path:
    """The object where the store has it as a file, else a copy at `path`. Raises ModelUnavailable: gone, or changed."""
    try:
        archive = store.local_path(uri)
        if archive is None:
            archive = path
            store.download(uri, archive, place=MODEL_FOLDER_DISK)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ModelUnavailable(_("The artifact {uri} is no longer there", uri=uri)) from None
    if found != sha256:
        said = _(
            "The artifact {uri} has the digest {found}, recorded was {recorded}",
            uri=uri,
            found=found,
            recorded=sha256,
        )
        raise ModelUnavailable(said)
    return archive


def _code_lay_out(source: SourceArchive, folder: Path, store: ObjectStore) -> None:
    archive = _fetched(source.uri, source.sha256, folder / SOURCE_ARCHIVE, store)
    code = folder / MODEL_FOLDER / CODE_FOLDER
    if code.is_dir():
        shutil.rmtree(code)
    try:
        with storage_told(MODEL_FOLDER_DISK):
            code.unlink(missing_ok=True)
            source_unpack(archive, code)
    except ArchiveError as error:
        said = _("The code {uri} cannot be used: {reason}", uri=source.uri, reason=text_of(error))
        raise ModelUnavailable(said) from error
    (folder / SOURCE_ARCHIVE).unlink(missing_ok=True)


def _is_laid_out(folder: Path, sha256: str) -> bool:
    try:
        return bool(json.loads((folder / _SEAL).read_text()) == _seal(folder, sha256))
    except (OSError, ValueError):
        return False


def _seal(folder: Path, sha256: str) -> dict[str, Any]:
    model = folder / MODEL_FOLDER
    files = {
        str(path.relative_to(model)): path.lstat() for path in sorted(model.rglob("*")) if not path.is_dir()
    }
    return {
        "sha256": sha256,
        "files": {name: [found.st_size, found.st_mtime_ns] for name, found in files.items()},
    }


def _remove_all_but(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
