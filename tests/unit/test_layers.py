"""The plan of the package, as far as import-linter's contracts (pyproject.toml) cannot say it."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_ifp"
SOURCE = ROOT / PACKAGE

CORE_MAY_USE = {"pydantic", "pydantic_core", "numpy", "scipy"}
SAYS_NOTHING = {"utils", "common", "helpers", "manager", "base"}
MOST_MODULES = 20

MODULES = sorted(SOURCE.rglob("*.py"))
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    """Every module that the code imports, anywhere in it."""
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return named


def named_in_dicts(tree):
    """Modules of ours that stand in a dict, to be imported when used: no reader of imports sees those.

    A name elsewhere is no import: `python -m` starts it in a process of its own.
    """
    values = (value for node in ast.walk(tree) if isinstance(node, ast.Dict) for value in node.values)
    texts = {str(value.value) for value in values if isinstance(value, ast.Constant)}
    return {text for text in texts if re.fullmatch(rf"{PACKAGE}\.[\w.]+", text)}


def outsiders(tree):
    return {name.split(".")[0] for name in imported(tree)} - {PACKAGE} - sys.stdlib_module_names


def modules_of(folder):
    return [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]


def inside(folder):
    """What a folder of the package holds: modules and rooms."""
    rooms = [path.name for path in folder.iterdir() if (path / "__init__.py").exists()]
    return {*modules_of(folder), *rooms}


def by_path(paths):
    return pytest.mark.parametrize("path", list(paths), ids=lambda path: str(path.relative_to(ROOT)))


def test_the_reader_of_imports_sees_those_inside_functions_and_names_in_dicts():
    tree = ast.parse(f"""
import numpy as np
import scipy.stats
LATER = {{"track": "{PACKAGE}.training.track"}}
def execute():
    from {PACKAGE} import loop
    from airflow.sdk import DAG
    start(["-m", "{PACKAGE}.demo.keeper"])
""")
    assert outsiders(tree) == {"numpy", "scipy", "airflow"}
    assert f"{PACKAGE}.loop" in imported(tree)
    assert named_in_dicts(tree) == {f"{PACKAGE}.training.track"}


@by_path(MODULES)
def test_only_the_package_itself_names_modules_to_be_imported_when_touched(path):
    named = named_in_dicts(parse(path))
    assert {name.split(".")[1] for name in named} <= {"training", "loop"}
    assert not named or path == SOURCE / "__init__.py"


@by_path(path for path in MODULES if path.is_relative_to(SOURCE / "core"))
def test_core_uses_nothing_but_the_standard_library_pydantic_and_numbers(path):
    assert outsiders(parse(path)) - CORE_MAY_USE == set()


@by_path([*MODULES, *DAG_FILES])
def test_a_module_says_what_it_is_for_and_its_name_does_too(path):
    assert ast.get_docstring(parse(path))
    assert not SAYS_NOTHING & set(path.relative_to(ROOT).with_suffix("").parts)


@by_path(FOLDERS)
def test_a_folder_is_small_and_no_name_in_it_repeats_another(path):
    modules = modules_of(path)
    assert len(modules) <= MOST_MODULES
    assert not [name for name in modules if name == path.name or name.startswith(f"{path.name}_")]
    # A word that begins three names is a folder not yet made.
    assert max(Counter(name.partition("_")[0] for name in modules).values(), default=0) <= 2


@by_path(folder for folder in FOLDERS if len(inside(folder)) > 1 and folder != SOURCE)
def test_a_package_says_which_of_its_modules_to_read_first(path):
    said = re.search(r"Read\s+`([\w.]+)`", ast.get_docstring(parse(path / "__init__.py")))
    assert said, "expected: Read `module` first"
    assert said[1].partition(".")[0] in inside(path)


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_the_tests_tree_is_the_sources_tree(kind):
    tests = ROOT / "tests" / kind
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert folders - {folder.relative_to(SOURCE) for folder in FOLDERS} == set()


@by_path(DAG_FILES)
def test_a_dag_file_only_calls_the_factory(path):
    tree = parse(path)
    assert imported(tree) <= {"pathlib.Path", f"{PACKAGE}.dag_factory.build_dags"}
    assert len(tree.body) <= 5


def test_the_picture_of_folders_is_the_tree():
    """In the picture a line a folder: two blanks before a layer, four before a room."""
    picture = re.search(r"```text\nairflow_provider_ifp/(.*?)```", ARCHITECTURE.read_text(), re.DOTALL)[1]
    drawn, layer = set(), ""
    for blanks, name in re.findall(r"^( +)([a-z_]+)/", picture, re.MULTILINE):
        layer = layer if len(blanks) > 2 else name
        drawn.add(Path(name) if layer == name else Path(layer, name))
    inner = [folder.relative_to(SOURCE) for folder in FOLDERS if folder != SOURCE]
    assert drawn == {folder for folder in inner if len(folder.parts) <= 2}
