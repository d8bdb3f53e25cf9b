"""Which files an entrypoint consists of, found without running any of them."""

import sys
from pathlib import Path

import pytest

from airflow_provider_ifp.adapters.code.entrypoint import copy_source_code, read_source_code
from airflow_provider_ifp.core.errors import EntrypointError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files that end the test run if anything imports them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def to(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\nraise SystemExit('nobody imports me')\n")
        return tmp_path

    return to


def test_a_script_is_the_script_and_the_local_modules_that_it_imports_directly_or_not(write):
    root = write(
        script="import json, layers\nfrom nets import mlp",
        layers="def late():\n    import losses.rmse",
        losses__in____init__="",
        losses__in__rmse="",
        nets__in____init__="",
        nets__in__mlp="import script",
        unused="",
    )
    code = read_source_code(str(root / "script.py"))
    assert list(code.files) == [
        "layers.py",
        "losses/__init__.py",
        "losses/rmse.py",
        "nets/__init__.py",
        "nets/mlp.py",
        "script.py",
    ]
    assert code.root == root
    assert not code.installed
    assert code.files["nets/mlp.py"] == str(root / "nets" / "mlp.py")


def test_relative_imports_inside_a_local_package_are_followed(write):
    root = write(
        script="import nets.mlp",
        nets__in____init__="",
        nets__in__mlp="from . import act\nfrom .deep.norm import rms",
        nets__in__act="",
        nets__in__deep__in____init__="",
        nets__in__deep__in__norm="from .. import side",
        nets__in__side="",
    )
    assert {"nets/act.py", "nets/deep/norm.py", "nets/side.py"} <= set(
        read_source_code(str(root / "script.py")).files
    )


def test_a_function_of_a_package_is_the_whole_package(write):
    root = write(mine_a__in____init__="", mine_a__in__training="", mine_a__in__deep__in__part="")
    code = read_source_code("mine_a.training:train")
    assert list(code.files) == ["mine_a/__init__.py", "mine_a/deep/part.py", "mine_a/training.py"]
    assert code.root == root
    assert "mine_a" not in sys.modules


def test_a_function_of_a_lone_module_is_that_file(write):
    write(mine_b="", other="")
    assert list(read_source_code("mine_b:train").files) == ["mine_b.py"]


def test_what_pip_installed_says_so():
    assert read_source_code("yaml.main:train").installed


def test_the_digest_is_of_names_and_bytes_and_not_of_the_place(write, tmp_path):
    root = write(script="import part", part="", unused="")
    digest = read_source_code(str(root / "script.py")).digest
    copied = tmp_path / "elsewhere"
    copied.mkdir()
    for name in ("script.py", "part.py"):
        (copied / name).write_bytes((root / name).read_bytes())
    assert read_source_code(str(copied / "script.py")).digest == digest
    write(unused="changed = True")
    assert read_source_code(str(root / "script.py")).digest == digest
    write(part="changed = True")
    assert read_source_code(str(root / "script.py")).digest != digest


@pytest.mark.parametrize(
    ("entrypoint", "told"),
    [
        ("nowhere/train.py", "there is no script"),
        ("no_such_package.training:train", "no module 'no_such_package' can be found"),
        ("my_pkg.training", "neither 'package.module:function' nor a script's path ending in .py"),
        ("my_pkg.training:", "neither 'package.module:function'"),
        (":train", "neither 'package.module:function'"),
        ("sys:train", "'sys'"),
    ],
)
def test_an_entrypoint_that_is_not_there_is_told(entrypoint, told):
    with pytest.raises(EntrypointError) as caught:
        read_source_code(entrypoint)
    assert str(caught.value).startswith("train.entrypoint: ")
    assert told in str(caught.value)


def test_a_file_that_is_no_python_is_told_with_its_line(write):
    root = write(script="import part", part="a = 1\nb = (")
    with pytest.raises(EntrypointError, match=r"part\.py:2: this is no valid Python"):
        read_source_code(str(root / "script.py"))


def test_a_package_is_found_in_the_folders_given_and_not_where_this_process_would_find_it(write, tmp_path):
    write(mine_c__in____init__="here = True")
    elsewhere = tmp_path / "elsewhere" / "mine_c"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text("")
    code = read_source_code("mine_c:train", [str(tmp_path / "elsewhere")])
    assert code.files == {"mine_c/__init__.py": str(elsewhere / "__init__.py")}
    assert code.digest != read_source_code("mine_c:train").digest
    with pytest.raises(EntrypointError, match="no module 'mine_c' can be found"):
        read_source_code("mine_c:train", [str(elsewhere)])


def test_the_copy_has_the_files_as_they_were_digested(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import near\n")
    (tmp_path / "near.py").write_text("x = 1\n")
    source = read_source_code(str(script))
    copies = copy_source_code(source, tmp_path / "copy")
    assert {name: Path(path).read_text() for name, path in copies.items()} == {
        "near.py": "x = 1\n",
        "train.py": "import near\n",
    }


@pytest.mark.parametrize("edit", [lambda path: path.write_text("x = 2\n"), lambda path: path.unlink()])
def test_code_that_was_changed_since_it_was_digested_is_not_taken(tmp_path, edit):
    script = tmp_path / "train.py"
    script.write_text("x = 1\n")
    source = read_source_code(str(script))
    edit(script)
    with pytest.raises(EntrypointError, match=r"was (changed|removed) just now; run it again"):
        copy_source_code(source, tmp_path / "copy")
