"""Options of the whole suite, which pytest takes only from here; and what several kinds of tests share."""

import os
import shutil
import tempfile
import warnings

import pytest

FAIL_ON_SKIP = "IFP_FAIL_ON_SKIP"


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


def pytest_itemcollected(item):
    """Share the work of two workers: whole Airflows one after the other on one, all else on the other."""
    group = "airflow" if _starts_airflow(item) else item.nodeid.partition("::")[0]
    item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_modifyitems(items):
    """The longest first, so that both workers end at about the same time."""
    items.sort(key=lambda item: not _starts_airflow(item))


def _starts_airflow(item):
    return bool(item.get_closest_marker("airflow") and item.get_closest_marker("server"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """With IFP_FAIL_ON_SKIP=1 a skipped test is a failure: on that machine nothing may be missing."""
    if _forbidden_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    skipped = _forbidden_skips(config)
    if skipped:
        terminalreporter.section(f"{FAIL_ON_SKIP}: {len(skipped)} skipped", red=True)
        for report in skipped:
            terminalreporter.write_line(f"skipped: {report.nodeid}: {report.longrepr[2]}")


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
