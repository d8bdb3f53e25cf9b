"""Options of the whole suite, which pytest takes only from here; and what several kinds of tests share."""

import os
import shutil
import tempfile
import warnings

import pytest

FAIL_ON_SKIP = "IFP_FAIL_ON_SKIP"
TOGETHER = {
    # Whole Airflows, one after the other: two at once would starve each other.
    "tests/system/": "system",
    # What asks the same three MLflow servers, which cost as much to start as fifty of these tests.
    "tests/integration/adapters/registry/": "servers",
    "tests/integration/cli/": "servers",
    "tests/integration/loop/drift/test_monitor.py": "servers",
    "tests/integration/loop/train/test_claim.py": "servers",
    "tests/integration/loop/train/test_reproduce_operators.py": "servers",
    "tests/integration/test_skinny.py": "servers",
    "tests/integration/training/test_track.py": "servers",
}
"""Beginning of a test's id -> the piece of work that it belongs to; any other file is one of its own."""


def pytest_addoption(parser):
    parser.addoption(
        "--data-sample",
        choices=["small", "full"],
        default="small",
        help="how many of 2013's flights the data pipeline's test takes: a seeded sample, or all of them",
    )


def pytest_configure(config):
    """Whatever imports Airflow in this process finds a home of its own, and never the developer's."""
    home = tempfile.mkdtemp(prefix="airflow-home-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ["AIRFLOW_HOME"] = home


def pytest_collection_modifyitems(items):
    """The longest pieces first, so that all workers of `make test` end at about the same time."""
    longest = list(dict.fromkeys(TOGETHER.values()))
    place = {piece: number for number, piece in enumerate(longest)}
    items.sort(key=lambda item: place.get(_piece(item.nodeid), len(longest)))


def _piece(nodeid):
    """The piece of work that one worker does as a whole."""
    file = nodeid.partition("::")[0]
    return next((piece for beginning, piece in TOGETHER.items() if file.startswith(beginning)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share the work of several workers, a piece at a time."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPiece(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _piece(nodeid)

    return ByPiece(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """With IFP_FAIL_ON_SKIP=1 a skipped test is a failure: on that machine nothing may be missing."""
    if _forbidden_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    _write_faults(terminalreporter)
    skipped = _forbidden_skips(config)
    if skipped:
        terminalreporter.section(f"{FAIL_ON_SKIP}: {len(skipped)} skipped", red=True)
        for report in skipped:
            terminalreporter.write_line(f"skipped: {report.nodeid}: {report.longrepr[2]}")


def _write_faults(terminalreporter):
    """The figures of the tests in tests/fault, which kill processes: a line for each figure."""
    ends = terminalreporter.stats.get("", [])  # where pytest keeps what it says nothing of, such as teardowns
    rows = [row for report in ends for name, row in report.user_properties if name == "faults"]
    if not rows:
        return
    terminalreporter.section("processes killed, and what came of it")
    for name in rows[0]:
        figures = "".join(f"{row[name]:>18}" for row in rows)
        terminalreporter.write_line(f"{name.replace('_', ' '):<14}{figures}")


def _forbidden_skips(config):
    """Reports of the tests and files that were skipped although nothing may be."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get(FAIL_ON_SKIP) != "1" or reporter is None:
        return []
    return reporter.stats.get("skipped", [])


@pytest.fixture(scope="session")
def mlflow_models():
    """Import MLflow's models once: their type hints warn while they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401
