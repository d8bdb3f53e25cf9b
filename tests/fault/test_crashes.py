"""A kill -9 at any point of register, promote and roll back: nothing is lost, doubled or damaged."""

import time

import pytest
from tests.fault.invariants import look
from tests.fault.killing import KILLS, Ended, ended, start
from tests.fault.points import read_trace
from tests.fault.storm import Begin, Storm

pytestmark = pytest.mark.timeout(600 + 10 * KILLS)
SERVERS = [pytest.param(name, marks=pytest.mark.server) for name in ("sqlite_server", "postgres_server")]
KINDS = ("register", "promote", "roll_back")
IN_FLIGHT = 0.1
"""Seconds in which a server has done what a client asked before it was killed."""


@pytest.fixture(scope="module")
def points_of():
    """All points of a job of that kind, by one run that is not killed; the same on every server."""
    known = {}

    def points(begin, kind, folder):
        key = (begin.place.embedded, kind)
        if key not in known:
            trace = folder / f"{kind}.trace"
            assert ended(begin.place, start(begin.place, begin.new(kind), trace=trace)) == Ended.DONE
            known[key] = read_trace(trace)
        return known[key]

    return points


@pytest.mark.parametrize("attacked", [*SERVERS, "sqlite_file"], indirect=True)
def test_a_job_killed_at_any_call_leaves_nothing_half_done_and_a_rerun_finishes_it(
    attacked, attack, points_of, tmp_path
):
    place, _ = attacked
    begin = Begin(place)
    for kind in KINDS:
        points = points_of(begin, kind, tmp_path)
        for point in attack.choice.sample(points, min(attack.kills // len(KINDS), len(points))):
            told = f"seed {attack.seed}: {kind} killed at {point}"
            job = begin.new(kind)
            assert ended(place, start(place, job, point)) == Ended.KILLED, told
            attack.figures.count(point.moment)
            time.sleep(IN_FLIGHT)
            # Half of the time the aliases are repaired before the rerun, else by it.
            left = look(place, job.model, begin.jobs, repair=attack.choice.random() < 0.5)
            assert (left.lost, left.doubled) == (0, 0), told
            assert ended(place, start(place, job)) == Ended.DONE, told
            found = look(place, job.model, begin.jobs, repair=False, scratch=tmp_path / job.nonce)
            assert found.faults == {}, told
            assert set(job.steps) <= place.done.read().keys(), told
            attack.figures.stale += left.stale
            if job.model != begin.steady:
                attack.figures.add(found)
    attack.figures.jobs = len(begin.jobs) + attack.figures.kills
    attack.figures.add(look(place, begin.steady, begin.jobs, scratch=tmp_path / "steady"))
    assert attack.figures.faults == {}, f"seed {attack.seed}"


@pytest.mark.parametrize("attacked", SERVERS, indirect=True)
def test_six_writers_lose_nothing_while_they_and_their_server_are_killed(attacked, attack, tmp_path):
    place, mlflow = attacked
    storm = Storm(place, Begin(place), attack.choice)
    model, jobs = storm.begin.steady, storm.begin.jobs
    attack.figures.server_kills = 1 + attack.kills // 50
    parts = attack.figures.server_kills + 1
    for part in range(1, parts + 1):
        while storm.killed < attack.kills * part / parts:
            storm.step()
        if part < parts:
            mlflow.kill()
            storm.step()
            mlflow.start()
    storm.end()
    time.sleep(IN_FLIGHT)
    attack.figures.random, attack.figures.jobs = storm.killed, storm.started
    attack.figures.add(look(place, model, jobs, scratch=tmp_path / "storm"))
    assert attack.figures.faults == {}, f"seed {attack.seed}"
    storm.rerun_the_unfinished()
    found = look(place, model, jobs, repair=False, scratch=tmp_path / "rerun")
    assert found.faults == {}, f"seed {attack.seed}"
