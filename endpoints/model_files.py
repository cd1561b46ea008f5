"""Lays a model's files out for its server: download or link, check the digest, unpack safely. Django-free.

Called by hosts on a thread. What is accepted of an archive is `mlplatform.core.storage.archives`. What was laid out
is used again when the server is started again, as long as no file of it has changed: a large model is back sooner.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

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


def model_lay_out(*, artifact_uri: str, sha256: str, folder: Path, store: ObjectStore) -> Path:
    """Unpacks a model's artifact into `folder / "model"`, if it is not there already; all else in `folder` is removed.

    Args:
        sha256: The recorded digest, which the artifact must have.

    Returns:
        The folder of the model's files.

    Raises:
        ModelUnavailable: gone, another digest, an archive that is not accepted, or no room for it.
        OSError: anything else that the disk refuses.
    """
    if _is_laid_out(folder, sha256):
        _remove_all_but(folder, {MODEL_FOLDER, _SEAL})
        return folder / MODEL_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with storage_told(MODEL_FOLDER_DISK):
            folder.mkdir(mode=0o700, parents=True)
        archive = store.local_path(artifact_uri)
        if archive is None:
            archive = folder / "model.tar.gz"
            store.download(artifact_uri, archive, place=MODEL_FOLDER_DISK)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ModelUnavailable(
                _(
                    "The artifact {uri} has the digest {found}, recorded was {recorded}",
                    uri=artifact_uri,
                    found=found,
                    recorded=sha256,
                )
            )
        with storage_told(MODEL_FOLDER_DISK):
            archive_unpack(archive, folder / MODEL_FOLDER)
            (folder / _SEAL).write_text(json.dumps(_seal(folder, sha256)))
        return folder / MODEL_FOLDER
    except FileNotFoundError:
        raise ModelUnavailable(_("The artifact {uri} is no longer there", uri=artifact_uri)) from None
    except (StorageFull, StorageReadOnly) as error:
        shutil.rmtree(folder, ignore_errors=True)  # half of it would only be in the way
        raise ModelUnavailable(error.message) from error
    except (PlatformError, ArchiveError) as error:
        said = _("The artifact {uri} cannot be used: {reason}", uri=artifact_uri, reason=text_of(error))
        raise ModelUnavailable(said) from error


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
