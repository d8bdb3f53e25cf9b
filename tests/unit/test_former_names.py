"""Modules that moved are found under the names that they bore, with all that a pickle could name of them."""

import json
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from airflow_provider_ifp.core.metrics.answers import Answers
from airflow_provider_ifp.core.policy.model import Policy

NAMES = Path(__file__).parents[1] / "written_before" / "names.txt"
BEFORE = dict(line.split(": ", 1) for line in NAMES.read_text().splitlines() if ": " in line)
GONE = {
    "airflow_provider_ifp.core.policy_consistency": ["inconsistencies"],
    "airflow_provider_ifp.loop.watch": ["log_root"],
}
"""Asked of a policy or its sections now: no pickle of a model has a use for them."""


LOOK = """
import json, sys
from importlib import import_module
named = json.load(sys.stdin)
found = {module: import_module(module) for module in named}
missing = {module: [name for name in named[module] if not hasattr(found[module], name)] for module in named}
print(json.dumps({module: names for module, names in missing.items() if names}))
"""


def test_every_module_offers_what_it_did_under_its_former_name():
    named = {
        module: [name for name in names.split() if not name.startswith("_")]
        for module, names in BEFORE.items()
    }
    assert len(named) > 250
    # In a fresh process: pytest imports the modules whose doctests it collects in a way of its own.
    done = subprocess.run(
        [sys.executable, "-c", LOOK], input=json.dumps(named), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == GONE


@pytest.mark.parametrize("thing", [Answers, Policy, Policy(model="fares")])
def test_a_pickle_by_a_former_name_opens_as_what_it_is_today(thing):
    now = pickle.dumps(thing, protocol=0)
    former = now.replace(b"core.metrics.answers", b"core.metrics").replace(
        b"core.policy.model", b"core.policy"
    )
    assert former != now
    assert pickle.loads(former) == thing


def test_a_name_that_never_was_is_no_module_and_no_attribute():
    with pytest.raises(ImportError, match=r"airflow_provider_ifp\.core\.nonsense"):
        import_module("airflow_provider_ifp.core.nonsense")
    with pytest.raises(AttributeError, match=r"core\.metrics' has no attribute 'nonsense'"):
        _ = import_module("airflow_provider_ifp.core.metrics").nonsense


def test_a_former_name_loads_nothing_before_it_is_asked_for_something():
    run(
        "import sys, airflow_provider_ifp.core.metric_names as names;"
        "assert 'airflow_provider_ifp.core.metrics.names' not in sys.modules;"
        "names.metric_problem;"
        "assert 'airflow_provider_ifp.core.metrics.names' in sys.modules"
    )


def test_a_module_of_a_room_is_imported_without_what_the_former_module_of_the_rooms_name_had():
    run(
        "import sys; from airflow_provider_ifp.serving.worker import bodies;"
        "assert bodies.decode_json;"
        "assert 'airflow_provider_ifp.serving.worker.process' not in sys.modules"
    )


def run(code):
    """In a fresh process: what is imported here stays imported."""
    subprocess.run([sys.executable, "-c", code], check=True)
