"""IFP_FAIL_ON_SKIP=1, by which .ci/run turns a skipped test into a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPS = """
import pytest

@pytest.mark.skip(reason="the browser is missing")
def test_of_a_page(): ...

def test_that_runs(): ...
"""
SKIPS_WHOLE_FILE = "import pytest\npytest.skip('no server here', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_known(): assert False\n"
RUNS = "def test_that_runs(): ...\n"


@pytest.fixture
def run(tmp_path):
    def run(fail_on_skip, **files):
        shutil.copy(CONFTEST, tmp_path)
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        # Without the plugins of the real suite it starts in half the time.
        own = {"IFP_FAIL_ON_SKIP": fail_on_skip, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
        return subprocess.run(
            command, cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )

    return run


def test_a_skipped_test_and_a_skipped_file_fail_the_run_and_are_named(run):
    done = run("1", test_one=SKIPS, test_two=SKIPS_WHOLE_FILE)
    assert done.returncode == 1
    assert "skipped: test_one.py::test_of_a_page: Skipped: the browser is missing" in done.stdout
    assert "skipped: test_two.py: Skipped: no server here" in done.stdout
    assert done.stdout.splitlines()[-1].strip("= ").startswith("1 passed, 2 skipped")


def test_without_the_variable_a_skip_is_no_failure(run):
    done = run("", test_one=SKIPS)
    assert (done.returncode, "IFP_FAIL_ON_SKIP" in done.stdout) == (0, False)


def test_an_expected_failure_is_no_skip(run):
    assert run("1", test_one=EXPECTED_FAILURE, test_two=RUNS).returncode == 0


def test_a_failed_run_keeps_its_own_exit_status(run):
    assert run("1", test_one=SKIPS, test_two="def test_wrong(:\n").returncode == 2
