"""Files of a script in the editor: what is text, what was changed, which one is run; paths in tracebacks."""

from __future__ import annotations

from mlplatform.web.forms.script_calls import upload_call
from mlplatform.web.job_code import requirement_lines, source_path
from mlplatform.web.script_examples import EXAMPLES, example_files, example_list
from mlplatform.web.script_files import EDITED_BYTES_MAX, changes_of, entry_point_of, script_files

STORED = {"train.py": b"a = 1\r\nb = 2\r\n", "lib/net.py": b"x\n", "logo.png": b"\x89PNG\0"}


def test_only_what_was_typed_otherwise_is_a_change_and_line_ends_stay() -> None:
    typed = {"train.py": "a = 1\nb = 2\n", "lib/net.py": "x\ny\n", "new.py": "z\n"}
    assert changes_of(STORED, typed, []) == {"lib/net.py": b"x\ny\n", "new.py": b"z\n"}
    assert changes_of(STORED, {"train.py": "a = 1\nb = 3\n"}, []) == {"train.py": b"a = 1\r\nb = 3\r\n"}


def test_a_file_that_is_taken_away_is_a_change_whatever_was_typed() -> None:
    assert changes_of(STORED, {"train.py": "x"}, ["train.py", "never-there.py"]) == {"train.py": None}


def test_the_editor_has_text_and_names_what_is_none() -> None:
    files = {one.path: one for one in script_files(STORED, {"new.py": "z"}, ["lib/net.py"])}
    assert list(files) == ["logo.png", "new.py", "train.py"]
    assert files["train.py"].text == "a = 1\nb = 2\n" and not files["train.py"].changed
    assert files["logo.png"].text is None
    assert files["new.py"].fresh


def test_a_file_that_is_too_large_is_not_put_into_the_page() -> None:
    [large] = script_files({"a.py": b"x" * (EDITED_BYTES_MAX + 1)}, {}, [])
    assert large.text is None and large.size_bytes == EDITED_BYTES_MAX + 1


def test_the_entry_point_is_the_file_that_looks_like_one() -> None:
    assert entry_point_of(["inference.py", "src/train.py", "train.py"]) == "train.py"
    assert entry_point_of(["inference.py", "fit.py"]) == "fit.py"
    assert (
        entry_point_of(["inference.py"]) == ""
    )  # it trains nothing, and is run only where that is asked for
    assert entry_point_of(["inference.py"], "inference.py") == "inference.py"
    assert entry_point_of(["a.py", "b.py"], "b.py") == "b.py"
    assert entry_point_of(["notes.txt"], "gone.py") == "gone.py"


def test_a_path_of_the_process_is_one_of_the_source() -> None:
    paths = ["train.py", "src/net.py"]
    assert source_path("/opt/ml/code/train.py", paths) == "train.py"
    assert source_path("/tmp/work/x/code/src/net.py", paths) == "src/net.py"
    assert source_path("./train.py", paths) == "train.py"
    assert source_path("/opt/ml/code/other.py", paths) == ""
    assert source_path("/usr/lib/python3/site-packages/code/train.py", paths) == ""


def test_requirements_are_the_lines_that_name_a_package() -> None:
    text = "# what it needs\nnumpy>=1  # arrays\n\n-r other.txt\nxgboost==2.0\n"
    assert requirement_lines(text) == ["numpy>=1", "xgboost==2.0"]


def test_the_upload_call_keeps_folders_and_packs_many_files() -> None:
    few = upload_call(["train.py", "src/a b.py"], base_url="http://h", project="p")
    assert "-F files=@train.py" in few and "'files=@src/a b.py;filename=src/a b.py'" in few
    assert "archive=@" in upload_call([f"{n}.py" for n in range(30)], base_url="http://h", project="p")


def test_every_example_is_there_with_its_entry_point_and_its_metrics_are_printed() -> None:
    assert example_list() == list(EXAMPLES)
    for name, example in EXAMPLES.items():
        files = example_files(name)
        script = files[entry_point_of(files)]
        assert all(f"--{given}" in script for given in example.hyperparameters), name
        assert all(regex.partition(":")[0] in script for regex in example.metric_definitions.values()), name
