"""`.ci/run`, with stand-ins for the programs that it calls: which, in which order, and when it fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"
CALLED = '#!/bin/sh\necho "$(basename "$0") $* skips=${IFP_FAIL_ON_SKIP:-allowed}" >> "$CALLS"\n'


@pytest.fixture
def run_ci(tmp_path):
    """Run the script in a folder with this Makefile, where only these programs are to be found."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "env", "dirname", "basename", "grep"):
        (programs / name).symlink_to(shutil.which(name))
    (tmp_path / ".ci").mkdir()
    shutil.copy2(SCRIPT, tmp_path / ".ci")
    calls = tmp_path / "calls"
    calls.touch()

    def run(*present, targets="lint test", failing=None):
        (tmp_path / "Makefile").write_text("".join(f"{name}: .ready\n" for name in targets.split()))
        for name in ("make", "apt-get", *present):
            stand_in = programs / name
            stand_in.write_text(f'{CALLED}[ "$1" != "{failing}" ]\n')
            stand_in.chmod(0o755)
        done = subprocess.run(
            [tmp_path / ".ci" / "run"],
            cwd="/",
            env={"PATH": str(programs), "CALLS": str(calls), "CI": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, calls.read_text().splitlines()

    return run


def test_it_checks_the_code_and_then_runs_every_test_with_no_skip_allowed(run_ci):
    assert run_ci("chromium", "cc") == (0, ["make lint skips=1", "make test skips=1"])


@pytest.mark.parametrize("present", [[], ["chromium"], ["cc"]])
def test_a_missing_browser_or_compiler_is_installed_first(run_ci, present):
    code, calls = run_ci(*present)
    assert code == 0
    assert [call.split(" skips")[0] for call in calls] == [
        "apt-get update -q",
        "apt-get install -qy --no-install-recommends chromium gcc libc6-dev",
        "make lint",
        "make test",
    ]


@pytest.mark.parametrize("failing", ["lint", "test", "update"])
def test_it_ends_with_the_first_step_that_fails(run_ci, failing):
    code, calls = run_ci(failing=failing)
    assert code != 0
    assert calls[-1].split()[1] == failing


def test_the_tests_with_celery_run_where_the_makefile_has_them(run_ci):
    assert run_ci("chromium", "cc", targets="lint test test-celery")[1][-1] == "make test-celery skips=1"


def test_it_can_be_executed():
    assert os.access(SCRIPT, os.X_OK)
    assert "set -euo pipefail" in SCRIPT.read_text(encoding="utf-8")
