"""The layers of the design, held by reading every import: at the top of a module, and inside functions."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_ifp"
SOURCE = ROOT / PACKAGE

BELOW_AIRFLOW = {"core", "adapters", "training", "report", "loop", "serving"}
SHELLS = {"hooks", "triggers", "sensors", "operators", "notifications"}
STEPS = {"core", "adapters", "training", "report", "loop"}
# Each layer, and what of our own it may import besides itself. What stands here may exist later.
MAY_IMPORT = {
    "core": set(),
    "adapters": {"core"},
    "training": {"core", "adapters"},
    "report": {"core", "adapters"},
    "loop": {"core", "adapters", "training", "report"},
    "serving": {"core", "adapters", "training"},
    **dict.fromkeys(SHELLS, STEPS | SHELLS),
    "provider_info": set(),
    "dag_factory": STEPS | SHELLS,
    "backtest": STEPS | SHELLS,
    "ui": STEPS | SHELLS,
    "demo": STEPS | SHELLS | {"serving", "dag_factory"},
    "cli": STEPS | SHELLS | {"serving", "dag_factory", "backtest", "ui", "demo"},
    "__main__": {"cli"},
    # `ifp.track` and `ifp.load`, when touched.
    "__init__": {"training", "loop"},
}
CORE_MAY_USE = {"pydantic", "pydantic_core", "numpy", "scipy"}
SAYS_NOTHING = {"utils", "common", "helpers", "manager", "base"}

MODULES = sorted(SOURCE.rglob("*.py"))
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    """Every module that the code imports, anywhere in it, or names in a dict to be imported when used.

    A name elsewhere is no import: `python -m` starts it in a process of its own.
    """
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Dict):
            texts = [value.value for value in node.values if isinstance(value, ast.Constant)]
            named |= {text for text in texts if re.fullmatch(rf"{PACKAGE}\.[\w.]+", str(text))}
    return named


def layer_of(path):
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def layers_imported(tree):
    own = {name.split(".")[1] for name in imported(tree) if name.startswith(f"{PACKAGE}.")}
    return own - {"__version__"}


def outsiders(tree):
    return {name.split(".")[0] for name in imported(tree)} - {PACKAGE} - sys.stdlib_module_names


def of_layers(layers):
    chosen = [path for path in MODULES if layer_of(path) in layers]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: str(path.relative_to(SOURCE)))


def test_the_reader_of_imports_sees_those_inside_functions_and_in_dicts():
    code = f"""
import numpy as np
import scipy.stats
LATER = {{"track": "{PACKAGE}.training.track"}}
def execute():
    from {PACKAGE} import loop
    from airflow.sdk import DAG
    start(["-m", "{PACKAGE}.demo.keeper"])
"""
    assert layers_imported(ast.parse(code)) == {"training", "loop"}
    assert outsiders(ast.parse(code)) == {"numpy", "scipy", "airflow"}


def test_every_module_stands_in_a_layer_of_the_design():
    assert {layer_of(path) for path in MODULES} - set(MAY_IMPORT) == set()


@of_layers(MAY_IMPORT)
def test_a_module_imports_only_from_its_own_layer_and_those_above(path):
    layer = layer_of(path)
    assert layers_imported(parse(path)) - MAY_IMPORT[layer] - {layer} == set()


@of_layers({"core"})
def test_core_uses_nothing_but_the_standard_library_pydantic_and_numbers(path):
    assert outsiders(parse(path)) - CORE_MAY_USE == set()


@of_layers(BELOW_AIRFLOW)
def test_what_lies_below_the_shells_never_imports_airflow(path):
    assert "airflow" not in outsiders(parse(path))


@pytest.mark.parametrize("path", [*MODULES, *DAG_FILES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_its_name_does_too(path):
    assert ast.get_docstring(parse(path))
    assert not SAYS_NOTHING & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_only_calls_the_factory(path):
    tree = parse(path)
    assert imported(tree) <= {"pathlib.Path", f"{PACKAGE}.dag_factory.build_dags"}
    assert len(tree.body) <= 5
