"""`ifp demo` as its user meets it: the figures, two at once, Ctrl-C, and a demo that is killed.

One full demo, which Model CI starts, runs while a second is interrupted and a third is killed, each while it
trains.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.workflows import check_out, job, steps

pytestmark = [pytest.mark.server, pytest.mark.airflow, pytest.mark.timeout(1500)]

SECONDS = 1200
MODEL_CI = steps("model-ci")


class Demo:
    """One `ifp demo`, its output in a file.

    Args:
        output: The file.
        command: What starts it, as `subprocess` takes it; None: the command itself.
    """

    def __init__(self, output, command=None):
        self.output = output
        with self.output.open("wb") as file:
            plain = {
                "args": [Path(sys.executable).with_name("ifp"), "demo"],
                "stdin": subprocess.DEVNULL,
                "stderr": subprocess.STDOUT,
                "env": {**os.environ, "TMPDIR": str(output.parent)},
            }
            self.process = subprocess.Popen(**(command or plain), stdout=file, start_new_session=True)

    def text(self):
        return self.output.read_text(encoding="utf-8")

    @property
    def home(self):
        return Path(re.search(r"^home (\S+)$", self.text(), re.MULTILINE)[1])

    def wait_for(self, words):
        deadline = time.monotonic() + SECONDS
        while words not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.2)

    def left_behind(self):
        """Its processes that still live, once they had fifteen seconds to end."""
        deadline = time.monotonic() + 15
        while (alive := processes_with("IFP_DEMO_HOME", str(self.home))) and time.monotonic() < deadline:
            time.sleep(0.3)
        return alive


def processes_with(variable, value):
    """Every process in whose environment the variable has that value: children of children keep it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return check_out(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def demos(checkout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demos")
    # As on its schedule: nobody chose a day.
    full = Demo(
        folder / "full.txt", checkout.command("model-ci", MODEL_CI["Train, judge and promote"], UNTIL="")
    )
    stopped = Demo(folder / "stopped.txt")
    killed = None
    try:
        stopped.wait_for("train is running")
        stopped.process.send_signal(signal.SIGINT)
        stopped.process.wait(60)
        killed = Demo(folder / "killed.txt")
        killed.wait_for("train is running")
        assert processes_with("IFP_DEMO_HOME", str(killed.home))
        killed.process.kill()
        killed.process.wait(60)
        assert full.process.wait(SECONDS) == 0, full.text()
    finally:
        for demo in filter(None, (full, stopped, killed)):
            if demo.process.poll() is None:
                os.killpg(demo.process.pid, signal.SIGINT)
                demo.process.wait(60)
    return {"full": full, "stopped": stopped, "killed": killed}


@pytest.fixture(scope="module")
def figures(demos, checkout):
    return json.loads((checkout.path / "demo.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def months(figures):
    return {month["month"]: month for month in figures["months"]}


def test_the_demo_shows_seven_months_that_production_answered(months):
    assert list(months) == [f"2013-{month:02}" for month in range(3, 10)]
    assert {name: month["rows"] for name, month in months.items()} == {
        "2013-03": 27_902,
        "2013-04": 27_564,
        "2013-05": 28_128,
        "2013-06": 27_075,
        "2013-07": 28_293,
        "2013-08": 28_756,
        "2013-09": 27_010,
    }


def test_only_june_drifts_and_it_is_block_that_moved(months):
    assert [name for name, month in months.items() if month["fired"]] == ["2013-06"]
    assert months["2013-06"]["feature"] == "block"
    found = {name: round(month["psi"], 3) for name, month in months.items()}
    assert found["2013-03"] == 0.019
    assert months["2013-03"]["feature"] == "dow"
    assert (found["2013-04"], found["2013-05"], found["2013-06"]) == (0.036, 0.051, 0.111)
    assert max(found["2013-07"], found["2013-08"], found["2013-09"]) < 0.03


def test_version_1_answers_until_june_and_version_2_from_july_on(months):
    assert [month["version"] for month in months.values()] == ["1"] * 4 + ["2"] * 3


def test_from_july_on_production_errs_less_than_the_first_version_would_have(months):
    for name in ("2013-03", "2013-04", "2013-05", "2013-06"):
        assert months[name]["rmse"] == pytest.approx(months[name]["rmse_first"])
    for name in ("2013-07", "2013-08", "2013-09"):
        assert months[name]["rmse_first"] - months[name]["rmse"] > 2


def test_the_first_version_was_judged_by_the_absolute_gate_alone_and_the_verdict_says_so(figures):
    first = figures["runs"][0]
    assert (first["as_of"], first["fired"], first["reason"]) == ("2013-03-01", True, "no production version")
    assert first["verdict"]["compared_to"] is None
    assert "the absolute gate alone decides" in first["verdict"]["reason"]
    assert first["verdict"]["checks"][0]["rows"] == 9_035


def test_the_candidate_of_june_passed_both_gates_on_one_holdout(figures):
    june = next(run for run in figures["runs"] if run["as_of"] == "2013-07-01")
    checks = {check["name"]: check for check in june["verdict"]["checks"]}
    assert june["verdict"]["verdict"] == "pass"
    assert june["verdict"]["compared_to"] == "1"
    assert set(checks) == {"max_rmse", "comparison"}
    assert {check["rows"] for check in checks.values()} == {8_834}
    assert checks["comparison"]["against"] - checks["comparison"]["value"] > 2
    assert checks["comparison"]["interval"][0] > 0


def test_the_server_took_version_2_while_users_asked_and_no_request_failed(figures, demos):
    swaps = {run["as_of"]: run["swap"] for run in figures["runs"] if run["swap"]}
    assert list(swaps) == ["2013-07-01"]
    swap = swaps["2013-07-01"]
    assert list(swap["answered"]) == ["1", "2"]
    before, after = swap["answered"].values()
    # Users ask until the run has ended and the new version has answered 50.
    assert (before > 100, after >= 50, swap["failed"]) == (True, True, 0)
    told = f"version 1 answered {before:,}, then version 2 answered {after:,}, and none failed"
    assert told in (demos["full"].home / "report.html").read_text(encoding="utf-8")


def test_the_shadow_gate_of_june_passes_with_the_contracts_bounds_on_what_the_server_logged(figures):
    shadow = next(run["shadow"] for run in figures["runs"] if run["as_of"] == "2013-07-01")
    assert (shadow["verdict"], shadow["compared_to"]) == ("pass", "1")
    checks = {check["name"]: check for check in shadow["checks"]}
    assert checks["fidelity"]["value"] >= 0.999
    assert checks["disagreement"]["rows"] == 8_834
    assert checks["disagreement"]["bound"] == 0.03


def test_both_versions_say_what_they_were_trained_on_and_where_they_stand(figures):
    first, second = figures["versions"]
    assert (first["stage"], first["data_rows"], first["data_start"][:10]) == (
        "archived",
        40_974,
        "2013-01-01",
    )
    assert (second["stage"], second["data_rows"]) == ("production", 46_369)
    assert second["data_start"][:10] == "2013-05-01"
    assert first["data_end"] < "2013-02-19"
    assert second["data_end"] < "2013-06-21"


def test_model_ci_holds_both_candidates_to_their_gates_and_keeps_figures_and_report(demos, checkout):
    printed = {}
    for name, step in MODEL_CI.items():
        if name == "Train, judge and promote":
            continue
        done = checkout.run("model-ci", step, UNTIL="")
        assert done.returncode == 0, done.stdout
        printed[name] = done.stdout
    verdicts = printed["Hold every candidate to its gates"].splitlines()
    assert [line.split()[:3] for line in verdicts] == [
        ["flight-time", version, "pass"] for version in ("1", "2")
    ]
    (upload,) = [step for step in job("model-ci")["steps"] if "upload-artifact" in step.get("uses", "")]
    kept = [checkout.path / path for path in upload["with"]["path"].split()]
    assert [path.name for path in kept] == ["demo.json", "report.html"]
    assert kept[1].read_bytes() == (demos["full"].home / "report.html").read_bytes()


def test_a_report_is_left_and_no_process(demos):
    full = demos["full"]
    assert [path.name for path in full.home.iterdir()] == ["report.html"]
    assert "Drift in June was noticed on Jul 1" in (full.home / "report.html").read_text(encoding="utf-8")
    assert not full.left_behind()


def test_the_terminal_shows_the_table_and_where_the_report_lies(demos):
    text = demos["full"].text()
    june = next(line for line in text.splitlines() if "2013-07-01" in line and "│" in line)
    assert "0.1106 block" in june
    assert "fired" in june
    assert f"Report   {demos['full'].home / 'report.html'}" in text


def test_ctrl_c_while_it_trains_stops_everything_and_removes_its_home(demos):
    stopped = demos["stopped"]
    assert stopped.process.returncode == 130
    assert not stopped.left_behind()
    assert not stopped.home.exists()


def test_a_killed_demo_leaves_no_process(demos):
    killed = demos["killed"]
    assert killed.process.returncode == -signal.SIGKILL
    assert not killed.left_behind()
