"""Unpacking archives that somebody else made: what is accepted, and what leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from mlplatform.core.storage.archives import ArchiveError, ArchiveLimits, archive_read_file, archive_unpack


def _archive(folder: Path, *entries: tuple[str, bytes], special: tarfile.TarInfo | None = None) -> Path:
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if special is not None:
            tar.addfile(special)
    return path


def _special(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return info


def test_files_and_folders_are_unpacked_with_private_modes(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("model_algo-1", b"index"), ("inner/deep/labels", b"1,2,3"))
    n_bytes = archive_unpack(archive, tmp_path / "out")
    assert n_bytes == 10
    assert (tmp_path / "out/model_algo-1").read_bytes() == b"index"
    assert (tmp_path / "out/inner/deep/labels").read_bytes() == b"1,2,3"
    assert (tmp_path / "out/model_algo-1").stat().st_mode & 0o777 == 0o600


def test_an_archive_made_with_a_leading_dot_is_accepted(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("./a", b"x"), special=_special("./", tarfile.DIRTYPE))
    archive_unpack(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path, (name, b"x"))
    with pytest.raises(ArchiveError, match="leads out"):
        archive_unpack(archive, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "special",
    [
        _special("link", tarfile.SYMTYPE, "/etc/passwd"),
        _special("link", tarfile.LNKTYPE, "model"),
        _special("pipe", tarfile.FIFOTYPE),
        _special("device", tarfile.CHRTYPE),
    ],
    ids=["symlink", "hardlink", "fifo", "device"],
)
def test_links_and_devices_are_refused(tmp_path: Path, special: tarfile.TarInfo) -> None:
    archive = _archive(tmp_path, ("model", b"x"), special=special)
    with pytest.raises(ArchiveError, match="link or device"):
        archive_unpack(archive, tmp_path / "out")


def test_an_entry_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("model", b"one"), ("model", b"two"))
    with pytest.raises(ArchiveError, match="twice"):
        archive_unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/model").read_bytes() == b"one"


def test_a_file_used_as_a_folder_is_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("model", b"one"), ("model/inner", b"two"))
    with pytest.raises(ArchiveError, match="twice"):
        archive_unpack(archive, tmp_path / "out")


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    archive = _archive(tmp_path, *[(f"f{i}", b"") for i in range(12)])
    with pytest.raises(ArchiveError, match="more than 10 entries"):
        archive_unpack(archive, tmp_path / "out", limits=ArchiveLimits(n_entries=10))


def test_too_much_content_is_refused_before_it_is_written(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("bomb", bytes(8 * 1024**2)))
    with pytest.raises(ArchiveError, match="larger than 1000000 bytes"):
        archive_unpack(archive, tmp_path / "out", limits=ArchiveLimits(n_bytes=1_000_000))
    assert (tmp_path / "out/bomb").stat().st_size < 2 * 1024**2


@pytest.mark.slow
def test_a_compression_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("bomb", bytes(300 * 1024**2)))
    with pytest.raises(ArchiveError, match="times the size of the archive"):
        archive_unpack(archive, tmp_path / "out")


def test_a_huge_extended_header_is_refused_and_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type = tarfile.GNUTYPE_LONGNAME
    header.size = 2**33
    path = tmp_path / "model.tar.gz"
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
    with pytest.raises(ArchiveError, match="extended header"):
        archive_unpack(path, tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_truncated_archive_is_refused(tmp_path: Path, keep: int) -> None:
    archive = _archive(tmp_path, ("model", bytes(range(256)) * 40))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(ArchiveError, match="not a complete"):
        archive_unpack(archive, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(b"PK\x03\x04 this is a zip")
    with pytest.raises(ArchiveError):
        archive_unpack(path, tmp_path / "out")


def test_one_file_is_read_without_unpacking(tmp_path: Path) -> None:
    archive = _archive(tmp_path, ("model", bytes(100_000)), ("./manifest.json", b'{"n_features": 4}'))
    assert archive_read_file(archive, "manifest.json", limit_bytes=1000) == b'{"n_features": 4}'
    assert archive_read_file(archive, "missing.json", limit_bytes=1000) is None
    with pytest.raises(ArchiveError, match="at most 5"):
        archive_read_file(archive, "manifest.json", limit_bytes=5)
