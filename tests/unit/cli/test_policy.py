"""The command `ifp`: exit codes, what goes to which stream, and how problems read."""

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import jsonschema
import pytest
import yaml

from airflow_provider_ifp import __version__
from airflow_provider_ifp.adapters.policy.files import load_policy
from airflow_provider_ifp.cli import main

CONTRACT = Path(__file__).parents[3] / "docs" / "policy.yaml"
GOOD = """\
    model: flight-time
    data: {source: flights, time_column: ts, label: air_time}
    train: {entrypoint: training.py}
    validation:
      max_rmse: 14
"""
BAD = """\
    model: flight-time
    validation:
      min_acu: 0.9
      tolerance: much
    sheduling: daily
"""


@pytest.fixture
def write(tmp_path):
    def to(text, name="policy.yaml"):
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return to


@pytest.fixture
def ifp(capsys):
    """Runs a command in this process; returns exit code, standard output, standard error."""

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as exit_:  # argparse
            code = exit_.code
        return code, *capsys.readouterr()

    return run


def places(path, lines):
    """Line and column of each problem, where every line names the file."""
    found = [re.fullmatch(rf"{re.escape(str(path))}:(\d+):(\d+): (.+)", line) for line in lines.splitlines()]
    assert all(found), lines
    return [(int(match[1]), int(match[2])) for match in found]


def test_a_good_policy_is_checked_with_its_model(ifp, write):
    path = write(GOOD)
    assert ifp("policy", "check", path) == (0, f"{path}: ok (model flight-time)\n", "")


def test_every_problem_of_a_bad_policy_has_file_line_and_column_on_standard_error(ifp, write):
    path = write(BAD)
    code, out, err = ifp("policy", "check", path)
    assert (code, out) == (2, "")
    assert places(path, err) == [(3, 3), (4, 3), (5, 1)]
    assert "did you mean 'auc'" in err
    assert "Traceback" not in err


def test_a_bad_policy_does_not_keep_the_others_from_being_checked(ifp, write):
    bad, good = write(BAD, "bad.yaml"), write(GOOD, "good.yaml")
    code, out, err = ifp("policy", "check", bad, good)
    assert (code, out) == (2, f"{good}: ok (model flight-time)\n")
    assert len(places(bad, err)) == 3


def test_a_folder_is_checked_file_by_file_and_two_of_one_model_are_told(ifp, write, tmp_path):
    one, two = write(GOOD, "a.yaml"), write(GOOD, "b.yml")
    write("no: yaml: at all", "notes.txt")
    code, out, err = ifp("policy", "check", tmp_path)
    assert (code, out) == (2, f"{one}: ok (model flight-time)\n")
    assert places(two, err) == [(1, 1)]
    assert f"{one} already has model 'flight-time'" in err


@pytest.mark.parametrize(
    ("name", "told"), [("", "no policy in this folder"), ("nowhere.yaml", "cannot be read: No such file")]
)
def test_a_path_without_a_policy_is_wrong_input(ifp, tmp_path, name, told):
    code, out, err = ifp("policy", "check", tmp_path / name)
    assert (code, out) == (2, "")
    assert f"{tmp_path / name}: {told}" in err


def test_the_demos_own_policy_is_good(ifp, monkeypatch):
    monkeypatch.setenv("IFP_DEMO_HOME", "/tmp/demo")
    code, out, err = ifp("policy", "check", Path(__file__).parents[3] / "dags" / "policies")
    assert (code, err) == (0, "")
    assert "ok (model flight-time)" in out


def test_the_canonical_form_has_the_defaults(ifp, write):
    path = write(GOOD)
    code, out, err = ifp("policy", "show", path)
    assert (code, err) == (0, "")
    shown = yaml.safe_load(out)
    assert shown["validation"]["max_rmse"] == 14
    assert shown["data"]["holdout_window"] == "7d"


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("text", [GOOD, CONTRACT.read_text(), "monitor: {methods: {psi: {threshold: 0.2}}}"])
def test_what_is_shown_is_a_policy_file_that_says_the_same(ifp, write, text, form):
    path = write(text)
    again = write(ifp("policy", "show", path, *form)[1], "again.yaml")
    assert load_policy(again).to_json() == load_policy(path).to_json()


def test_as_json_the_canonical_form_stands_alone_on_standard_output(ifp, write):
    path = write(GOOD)
    code, out, err = ifp("policy", "show", path, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == yaml.safe_load(ifp("policy", "show", path)[1])


def test_a_dialect_is_shown_in_the_canonical_form(ifp, write):
    path = write("monitor: {model: sales, methods: {psi: {threshold: 0.2}}}\nauto_promote: false\n")
    shown = json.loads(ifp("policy", "show", path, "--json")[1])
    assert shown["model"] == "sales"
    assert shown["validation"]["promote_on_pass"] == "staging"
    assert "auto_promote" not in shown


def test_a_bad_policy_is_not_shown(ifp, write):
    path = write(BAD)
    code, out, err = ifp("policy", "show", path, "--json")
    assert (code, out) == (2, "")
    assert f"{path}:3:3: " in err
    assert "Traceback" not in err


def test_the_schema_accepts_the_canonical_form_and_no_unknown_key(ifp, write):
    code, out, err = ifp("policy", "schema")
    assert (code, err) == (0, "")
    schema = json.loads(out)
    shown = json.loads(ifp("policy", "show", write(GOOD), "--json")[1])
    jsonschema.validate(shown, schema)
    with pytest.raises(jsonschema.ValidationError, match="sheduling"):
        jsonschema.validate({**shown, "sheduling": "daily"}, schema)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "COMMAND"),
        (["polcy"], "invalid choice: 'polcy'"),
        (["policy"], "VERB"),
        (["policy", "chekc"], "invalid choice: 'chekc'"),
        (["policy", "check"], "PATH"),
        (["policy", "show"], "PATH"),
        (["policy", "show", "a.yaml", "b.yaml"], "b.yaml"),
        (["policy", "check", "--colour", "a.yaml"], "--colour"),
        (["demo", "--until", "nonsense"], "'nonsense' is no date; expected one such as 2013-10-01"),
        (["demo", "--until", "2013-13-01"], "'2013-13-01' is no date"),
        (["demo", "--port", "http"], "--port"),
        (["digest"], "DATASET"),
        (["verify", "m"], "VERSION"),
        (["show", "m"], "VERSION"),
        (["show", "m", "1", "2", "3"], "3"),
        (["history", "m", "--at", "noon"], "'noon' is no time; expected one such as 2026-11-01T12:00"),
        (["promote", "m", "1", "--reason", "r"], "--to"),
        (["promote", "m", "1", "--to", "live", "--reason", "r"], "invalid choice: 'live'"),
        (["promote", "m", "1", "--to", "production"], "--reason"),
        (["promote", "m", "1", "--to", "production", "--reason", " "], "ifp: --reason is empty; say why"),
        (["rollback", "m"], "--reason"),
        (["rollback", "m", "--reason", ""], "ifp: --reason is empty; say why"),
        (["versions", "m", "--tracking-uri", "http://127.0.0.1:9"], "MLflow at http://127.0.0.1:9 does not"),
    ],
)
def test_wrong_use_is_told_on_standard_error(ifp, words, told):
    code, out, err = ifp(*words)
    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.parametrize("day", ["2013-02-28", "2014-01-02"])
def test_a_day_outside_the_years_flights_is_told_before_anything_is_started(ifp, day, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code, out, err = ifp("demo", "--until", day)
    assert (code, out) == (2, "")
    assert err == f"ifp: --until {day}: expected a day from 2013-03-01 to 2014-01-01\n"
    assert not list(tmp_path.iterdir())


def test_help_and_version_are_no_errors(ifp):
    assert ifp("--version") == (0, f"ifp {__version__}\n", "")
    code, out, _ = ifp("--help")
    assert code == 0
    assert {"policy", "digest", "versions", "show", "history", "verify", "audit"} <= set(out.split())
    assert {"promote", "rollback", "reproduce", "demo"} <= set(out.split())


def test_the_installed_command_has_these_exit_codes_and_streams(write):
    command = Path(sys.executable).with_name("ifp")
    good, bad = (
        subprocess.run([command, "policy", "check", path], capture_output=True, text=True, check=False)
        for path in (write(GOOD, "good.yaml"), write(BAD, "bad.yaml"))
    )
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith(": ok (model flight-time)\n")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert len(bad.stderr.splitlines()) == 3


def test_figures_without_a_folder_are_refused_before_anything_starts(ifp, tmp_path):
    file = tmp_path / "missing" / "figures.json"
    code, out, err = ifp("demo", "--json", str(file))
    assert (code, out) == (2, "")
    assert err == f"ifp: --json {file}: there is no folder {file.parent}\n"
