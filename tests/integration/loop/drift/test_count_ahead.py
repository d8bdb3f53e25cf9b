"""After a promotion the log's windows are counted on the new version's bins before anybody checks."""

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_ifp.loop.drift import window as counting
from airflow_provider_ifp.loop.drift.check import count_ahead

NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TWO_OF_THREE = {"evaluation_window": "2d", "min_rows": 200, "consecutive": {"windows": 2, "of_last": 3}}
ROLLING = {"evaluation_window": "2d", "min_rows": 200, "baseline_window": "4d"}


@pytest.fixture
def reads(monkeypatch):
    """The files of the log that were read."""
    seen, count = [], counting.count_log_file

    def counted(profile, file, *others):
        seen.append(file.path)
        return count(profile, file, *others)

    monkeypatch.setattr(counting, "count_log_file", counted)
    return seen


@pytest.fixture
def versions(loop):
    """Two versions, trained on data that differ, and ten days of hourly files that the first answered."""
    loop.write_log(loop.rows(NOW - 10 * DAY, days=10, seed=3))
    return [
        loop.register(
            lambda frame, slope=slope: slope * frame["x"],
            profiled=loop.rows(NOW - 30 * DAY, days=20, seed=slope, shift=slope),
        )
        for slope in (1, 2)
    ]


@pytest.mark.parametrize(("monitor", "fires"), [(TWO_OF_THREE, True), (ROLLING, False)])
def test_the_first_check_after_a_promotion_reads_no_file(loop, versions, reads, monitor, fires):
    policy, cache = loop.policy(monitor=monitor), loop.home / "cache"
    loop.put(versions[0])
    loop.check(policy=policy, cache=cache)
    loop.put(versions[1])
    reads.clear()
    count_ahead(loop.registry, policy, now=NOW, cache=cache)
    assert len(set(reads)) == len(reads) == 6 * 24
    reads.clear()
    firing = loop.check(policy=policy, cache=cache)
    assert reads == []
    assert (firing.decided, firing.fired) == (True, fires)
    assert firing.reasons == loop.check(policy=policy).reasons


@pytest.fixture
def move(loop, monkeypatch):
    """Run an operator of promote.py as a task would, on the loop's registry; returns its XCom."""
    monkeypatch.setenv("AIRFLOW__IFP__CACHE_FOLDER", str(loop.home / "airflow-cache"))
    hook = SimpleNamespace(get_conn=lambda: loop.registry)
    monkeypatch.setattr("airflow_provider_ifp.operators.promote.ModelRegistryHook", lambda _: hook)

    def run(kind, **arguments):
        from airflow_provider_ifp.operators import promote

        run = SimpleNamespace(triggering_user_name="ada", data_interval_end=NOW, run_after=NOW)
        ti = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
        events = defaultdict(lambda: SimpleNamespace(add=lambda *_, **__: None))
        operator = getattr(promote, kind)(task_id="t", model=loop.model, reason="by hand", **arguments)
        return operator.execute({"ti": ti, "dag_run": run, "outlet_events": events})

    return run


@pytest.mark.airflow
def test_the_tasks_that_move_production_count_for_the_next_check(loop, versions, reads, move):
    policy, cache = loop.policy(monitor=TWO_OF_THREE), loop.home / "airflow-cache" / "counts"
    first, second = versions
    for kind, arguments, expected in (
        ("PromoteOperator", {"version": first, "to": "production"}, first),
        ("PromoteOperator", {"version": second, "to": "production"}, second),
        ("RollbackOperator", {}, first),
    ):
        move(kind, policy=policy, **arguments)
        assert loop.ledger.production == expected
        reads.clear()
        loop.check(policy=policy, cache=cache)
        assert reads == []


@pytest.mark.airflow
@pytest.mark.parametrize("to", ["staging", "shadow"])
def test_a_move_to_another_stage_counts_nothing(loop, versions, reads, move, to):
    move("PromoteOperator", version=versions[0], to=to, policy=loop.policy())
    assert reads == []


@pytest.fixture
def told(caplog):
    """What was said of the counting: level and message."""
    caplog.set_level(logging.INFO)

    def read():
        [record] = [one for one in caplog.records if "ahead of the next check" in one.getMessage()]
        return record.levelno, record.getMessage()

    return read


@pytest.mark.airflow
def test_a_first_version_may_have_no_log_yet(loop, versions, move, told):
    unwritten = loop.policy(monitor={"predictions": "nowhere"})
    move("PromoteOperator", version=versions[0], to="production", policy=unwritten)
    assert loop.ledger.production == versions[0]
    level, message = told()
    assert (level, str(loop.home / "nowhere") in message) == (logging.INFO, True)


@pytest.mark.airflow
def test_what_cannot_be_counted_takes_no_promotion_back(loop, versions, move, told):
    bare = loop.register(lambda frame: 3 * frame["x"])
    move("PromoteOperator", version=bare, to="production", policy=loop.policy())
    assert loop.ledger.production == bare
    level, message = told()
    assert level == logging.WARNING
    assert f"RegistryError: demand version {bare} has no ifp/profile.json" in message
