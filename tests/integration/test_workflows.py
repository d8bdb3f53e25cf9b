"""The workflows of `.github/workflows`: schemas, what they may do, and that each step does what it says.

The steps run as GitHub runs them, in a copy of this checkout as it stands, what is not committed included.
Only the environment is lent: its packages are linked into the copy, so that `make venv` finds it made. No
step runs this file, so nothing here starts itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yml")}
ACTIONS = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}

# GitHub gives the steps of code-ci five minutes together; here they share two cores with others.
pytestmark = pytest.mark.timeout(600)

NAMES = pytest.mark.parametrize("name", sorted(WORKFLOWS))


def events(name):
    """What starts a workflow. YAML reads its key `on` as true."""
    return WORKFLOWS[name][True]


def job(name):
    (only,) = WORKFLOWS[name]["jobs"].values()
    return only


def steps(name):
    """The steps that run something, in order: name -> step."""
    return {step["name"]: step for step in job(name)["steps"] if "run" in step}


def git(*arguments):
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A clone with the working tree's state, and this environment's packages under `.venv`."""
    clone = tmp_path_factory.mktemp("checkout") / "repository"
    git("clone", "--quiet", str(ROOT), str(clone))
    for name in git("ls-files", "-z", "--deleted").split("\0")[:-1]:
        (clone / name).unlink()
    changed = git("ls-files", "-z", "--modified", "--others", "--exclude-standard").split("\0")[:-1]
    for name in changed:
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    venv = clone / ".venv"
    venv.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (venv / name).symlink_to(Path(sys.prefix) / name)
    (venv / ".ready").touch()
    return clone


@pytest.fixture(scope="module")
def run_step(checkout):
    """Run a step as GitHub does: `bash -e`, with its workflow's, job's and its own variables."""

    def run(workflow, step, **expressions):
        variables = {
            **WORKFLOWS[workflow].get("env", {}),
            **job(workflow).get("env", {}),
            **step.get("env", {}),
        }
        unknown = {key for key, value in variables.items() if "${{" in str(value)} - set(expressions)
        assert not unknown, f"give the test a value for {unknown}"
        # The installed package is this checkout's; the copy's own source comes before it.
        # Of the unit tests one file will do: this suite holds them all.
        # A make that runs these tests must not look like the parent of the workflow's own.
        outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        own = {"CI": "true", "PYTHONPATH": str(checkout / "src"), "PYTEST_ARGS": "-k test_durations"}
        own["TMPDIR"] = str(checkout.parent)
        # What mypy found out about other packages does not change from one checkout to the next.
        own["MYPY_CACHE_DIR"] = str(ROOT / ".mypy_cache")
        return subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=checkout,
            env={**outside, **variables, **expressions, **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


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
def test_each_step_of_code_ci_succeeds(run_step, step):
    done = run_step("code-ci", step)
    assert done.returncode == 0, done.stdout
    if "pytest" in step["run"] or "make unit" in step["run"]:
        assert re.search(r"\d+ passed", done.stdout.splitlines()[-1])


@pytest.mark.server
@pytest.mark.airflow
def test_the_steps_of_model_ci_train_judge_and_keep_figures_and_report(run_step, checkout):
    printed = {}
    for name, step in steps("model-ci").items():
        done = run_step("model-ci", step, UNTIL="2013-03-01")
        assert done.returncode == 0, done.stdout
        printed[name] = done.stdout
    (upload,) = [step for step in job("model-ci")["steps"] if "upload-artifact" in step.get("uses", "")]
    kept = {path: (checkout / path).read_text(encoding="utf-8") for path in upload["with"]["path"].split()}
    assert kept["report.html"].startswith("<!doctype html>")
    figures = json.loads(kept["demo.json"])
    assert [run["as_of"] for run in figures["runs"]] == ["2013-03-01"]
    assert "flight-time 1 pass" in printed["Hold every candidate to its gates"]


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([{"fired": False, "verdict": None}], 1),
        ([{"fired": True, "verdict": {"model": "m", "version": "1", "verdict": "fail", "reason": "no"}}], 1),
        ([{"fired": True, "verdict": {"model": "m", "version": "1", "verdict": "pass", "reason": "yes"}}], 0),
    ],
    ids=["nothing was judged", "a candidate failed", "each passed"],
)
def test_model_ci_fails_unless_there_were_candidates_and_each_passed(run_step, checkout, runs, code):
    figures = checkout / "demo.json"
    before = figures.read_bytes() if figures.exists() else None
    figures.write_text(json.dumps({"runs": runs}), encoding="utf-8")
    try:
        done = run_step("model-ci", steps("model-ci")["Hold every candidate to its gates"], UNTIL="")
        assert done.returncode == code, done.stdout
    finally:
        figures.unlink()
        if before is not None:
            figures.write_bytes(before)
