"""The model archive: the same files give the same bytes, and nothing but regular files goes in."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from pathlib import Path

from jobs.runner.pack import model_has_file, model_pack, output_pack
from mlplatform.core.storage.archives import archive_unpack
from mlplatform.core.storage.trees import tree_remove


def _model(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "weights").write_bytes(b"w" * 100_000)
    (folder / "sub" / "日本.txt").write_text("labels", encoding="utf-8")
    return folder


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for n in range(2):
        folder = _model(tmp_path / f"model{n}")
        os.utime(folder / "weights", (n, n))
        (folder / "weights").chmod(0o600 + n)
        packed = model_pack(model_dir=folder, archive=tmp_path / f"{n}.tar.gz", facts={"algorithm": "knn"})
        digests.add(hashlib.sha256(packed.path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_manifest_describes_every_file(tmp_path: Path) -> None:
    folder = _model(tmp_path / "model")
    packed = model_pack(model_dir=folder, archive=tmp_path / "m.tar.gz", facts={"algorithm": "knn"})
    with tarfile.open(packed.path) as tar:
        contents = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        assert all(member.isfile() and member.mtime == 0 and member.uid == 0 for member in tar)
    manifest = json.loads(contents.pop("manifest.json"))
    assert manifest == packed.manifest
    assert manifest["algorithm"] == "knn"
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        for name, data in contents.items()
    }
    assert set(contents) == {"weights", "sub/日本.txt"}


def test_links_pipes_and_a_false_manifest_are_left_out_and_named(tmp_path: Path) -> None:
    folder = _model(tmp_path / "model")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "folder-link").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    (folder / "manifest.json").write_text('{"algorithm": "other"}')
    packed = model_pack(model_dir=folder, archive=tmp_path / "m.tar.gz", facts={"algorithm": "knn"})
    assert packed.left_out == ("folder-link", "link", "manifest.json", "pipe")
    with tarfile.open(packed.path) as tar:
        names = tar.getnames()
    assert sorted(names) == ["manifest.json", "sub/日本.txt", "weights"]


def test_packing_needs_little_memory_and_reads_back(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    content = os.urandom(1024) * 30_000
    (folder / "big").write_bytes(content)
    begun = time.monotonic()
    packed = model_pack(model_dir=folder, archive=tmp_path / "m.tar.gz", facts={})
    assert time.monotonic() - begun < 20
    with tarfile.open(fileobj=io.BytesIO(packed.path.read_bytes())) as tar:
        assert tar.extractfile("big").read() == content  # type: ignore[union-attr]


def test_a_link_in_the_place_of_a_folder_above_leads_nowhere(tmp_path: Path) -> None:
    """`output` can be written by the job, `data` in it is ours to pack."""
    (tmp_path / "platform" / "data").mkdir(parents=True)
    (tmp_path / "platform" / "data" / "secret_key").write_text("SECRET")
    output = tmp_path / "output"
    output.symlink_to(tmp_path / "platform")
    assert output_pack(output_dir=output, archive=tmp_path / "o.tar.gz") is None
    output.unlink()
    output.mkdir()
    (output / "data").symlink_to(tmp_path / "platform" / "data")
    assert output_pack(output_dir=output, archive=tmp_path / "o.tar.gz") is None


def test_what_nobody_could_unpack_again_is_left_out_and_named(tmp_path: Path) -> None:
    folder = _model(tmp_path / "model")
    deepest = folder
    for _ in range(1200):
        deepest = deepest / "d"
        os.mkdir(deepest)  # noqa: PTH102  Path.mkdir is slower
    (folder / ("n" * 200) / ("n" * 200)).mkdir(parents=True)
    (folder / ("n" * 200) / ("n" * 200) / ("n" * 200)).write_text("x")
    assert model_has_file(folder)
    packed = model_pack(model_dir=folder, archive=tmp_path / "m.tar.gz", facts={})
    assert packed.left_out == ("/".join("d" * 32), "/".join(["n" * 200] * 3))
    assert archive_unpack(packed.path, tmp_path / "again") > 0
    tree_remove(folder)


def test_a_manifest_alone_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert not model_has_file(tmp_path)
