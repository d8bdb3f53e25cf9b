"""What a Dag file, a notebook and a command pay for importing this package, each in a fresh process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

POLICIES = Path(__file__).parents[2] / "dags" / "policies"
HEAVY = {"mlflow", "torch", "pandas", "pyarrow", "airflow"}


def loaded_after(code):
    """The top-level packages that a fresh interpreter has loaded once it has run the code."""
    telling = f"{code}\nimport json, sys\nsys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", telling], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stderr)}


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_after("import airflow_provider_ifp as ifp; ifp.__version__; dir(ifp)")
    assert loaded & (HEAVY | {"scipy", "numpy", "pydantic", "yaml"}) == set()


def test_what_the_package_offers_is_loaded_when_touched():
    assert "airflow_provider_ifp" in loaded_after("import airflow_provider_ifp as ifp; ifp.track")
    assert "airflow" not in loaded_after("import airflow_provider_ifp as ifp; ifp.track; ifp.load")


@pytest.mark.parametrize(
    "arguments", [["policy", "check", str(POLICIES)], ["policy", "schema"]], ids=["check", "schema"]
)
def test_the_policy_commands_load_neither_mlflow_nor_torch_nor_pandas_nor_airflow(arguments):
    loaded = loaded_after(f"from airflow_provider_ifp.cli import main; assert main({arguments!r}) == 0")
    assert "pydantic" in loaded
    assert loaded & HEAVY == set()


def test_the_servers_front_loads_none_of_what_its_versions_need():
    loaded = loaded_after("import airflow_provider_ifp.serving.front.server")
    assert "uvicorn" in loaded
    assert loaded & (HEAVY | {"scipy", "pydantic"}) == set()
