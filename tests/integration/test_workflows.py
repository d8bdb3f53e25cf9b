"""The workflows of `.github/workflows`: schemas, what they may do, and that each step does what it says.

The steps that train stand in tests/system/test_demo.py, which runs them.
"""

import json
import re
import subprocess
import sys

import pytest
from tests.workflows import FOLDER, WORKFLOWS, check_out, job, steps

ACTIONS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}

# GitHub gives the steps of code-ci five minutes together; here they share two cores with others.
pytestmark = pytest.mark.timeout(600)

NAMES = pytest.mark.parametrize("name", sorted(WORKFLOWS))


def events(name):
    """What starts a workflow. YAML reads its key `on` as true."""
    return WORKFLOWS[name][True]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return check_out(tmp_path_factory.mktemp("checkout"))


def test_there_is_one_workflow_for_code_and_one_for_models():
    assert set(WORKFLOWS) == {"code-ci", "model-ci"}


@NAMES
def test_a_workflow_follows_githubs_schema(name):
    arguments = ["--builtin-schema", "vendor.github-workflows", str(FOLDER / f"{name}.yml")]
    command = [sys.executable, "-m", "check_jsonschema", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@NAMES
def test_a_workflow_may_only_read_and_uses_only_githubs_own_actions(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert "permissions" not in job(name)
    assert {step["uses"].partition("@")[0] for step in job(name)["steps"] if "uses" in step} <= ACTIONS


@NAMES
def test_no_script_has_an_expression_pasted_into_it(name):
    assert [step["name"] for step in steps(name).values() if "${{" in step["run"]] == []


def test_code_ci_runs_on_each_commit_for_under_five_minutes_and_never_trains():
    assert set(events("code-ci")) == {"push", "pull_request"}
    assert job("code-ci")["timeout-minutes"] <= 5
    scripts = "\n".join(step["run"] for step in steps("code-ci").values())
    assert not re.search(r"demo|train|make test", scripts)
    assert re.search(r"test_data_pipeline\.py --data-sample small$", scripts, re.MULTILINE)


def test_model_ci_runs_on_a_schedule_or_by_hand_and_on_no_commit():
    assert set(events("model-ci")) == {"schedule", "workflow_dispatch"}
    assert set(events("model-ci")["workflow_dispatch"]["inputs"]) == {"until"}


@pytest.mark.parametrize("step", steps("code-ci").values(), ids=lambda step: step["name"])
def test_each_step_of_code_ci_succeeds(checkout, step):
    done = checkout.run("code-ci", step)
    assert done.returncode == 0, done.stdout
    if "pytest" in step["run"] or "make unit" in step["run"]:
        assert re.search(r"\d+ passed", done.stdout.splitlines()[-1])


def test_model_ci_goes_as_far_as_was_chosen_by_hand(checkout):
    just_print = {"MAKEFLAGS": "n"}
    done = checkout.run(
        "model-ci", steps("model-ci")["Train, judge and promote"], UNTIL="2013-03-01", **just_print
    )
    assert done.stdout == ".venv/bin/ifp demo --json demo.json --until 2013-03-01\n"


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([{"fired": False, "verdict": None}], 1),
        ([{"fired": True, "verdict": {"model": "m", "version": "1", "verdict": "fail", "reason": "no"}}], 1),
        ([{"fired": True, "verdict": {"model": "m", "version": "1", "verdict": "pass", "reason": "yes"}}], 0),
    ],
    ids=["nothing was judged", "a candidate failed", "each passed"],
)
def test_model_ci_fails_unless_there_were_candidates_and_each_passed(checkout, runs, code):
    (checkout.path / "demo.json").write_text(json.dumps({"runs": runs}), encoding="utf-8")
    done = checkout.run("model-ci", steps("model-ci")["Hold every candidate to its gates"], UNTIL="")
    assert done.returncode == code, done.stdout
