"""Lays a model's files out for its server: download or link, check the digest, unpack safely. Django-free.

Called by hosts on a thread. What is accepted of an archive is `mlplatform.core.archives`.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from mlplatform.core.archives import ArchiveError, archive_unpack
from mlplatform.core.errors import PlatformError
from mlplatform.core.store import ObjectStore

MODEL_FOLDER = "model"


class ModelUnavailable(Exception):
    """The model could not be laid out for its server; the message says why."""


def model_lay_out(*, artifact_uri: str, sha256: str, folder: Path, store: ObjectStore) -> Path:
    """Unpacks a model's artifact into `folder / "model"`; what was in `folder` is removed first.

    Args:
        sha256: The recorded digest, which the artifact must have.

    Returns:
        The folder of the model's files.

    Raises:
        ModelUnavailable: gone, another digest, or an archive that is not accepted.
        OSError: the disk.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        archive = store.local_path(artifact_uri)
        if archive is None:
            archive = folder / "model.tar.gz"
            store.download(artifact_uri, archive)
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ModelUnavailable(
                f"The artifact {artifact_uri} has the digest {found}, recorded was {sha256}"
            )
        archive_unpack(archive, folder / MODEL_FOLDER)
        return folder / MODEL_FOLDER
    except FileNotFoundError:
        raise ModelUnavailable(f"The artifact {artifact_uri} is no longer there") from None
    except (PlatformError, ArchiveError) as error:
        raise ModelUnavailable(f"The artifact {artifact_uri} cannot be used: {error}") from error
