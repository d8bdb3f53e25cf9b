"""Of several runs with one build at once, one trains: on a real MLflow server too, and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_ifp.adapters.registry.protocol import TRAINING
from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.loop.train.claim import HEARTBEAT, Patience, heartbeat, newest, take_turn


@pytest.fixture(
    params=["memory_registry", pytest.param("server_registry", marks=pytest.mark.server)],
    ids=["memory", "server"],
)
def registry(request):
    """Two will do: what claims are made of holds on each registry by the suite of `test_registry_*`."""
    return request.getfixturevalue(request.param)


PATIENCE = Patience(look=0.05, beat=0.1, dead=0.6)
KEY = "sha256:" + "5" * 64


def started(registry, model):
    return lambda: registry.start_run(model, name="a training", tags={})


def turn(registry, model, owner):
    return take_turn(registry, model, KEY, owner=owner, start_run=started(registry, model), patience=PATIENCE)


def claims(registry, model):
    entries = registry.entries(model, TRAINING)
    return [json.loads(entries[key])["owner"] for key in sorted(entries)]


def test_the_first_comer_gets_the_turn_and_the_second_waits_for_its_version(registry, model, add_version):
    run_id = turn(registry, model, "first")
    with ThreadPoolExecutor(1) as pool, heartbeat(registry, run_id, PATIENCE.beat):
        waiting = pool.submit(turn, registry, model, "second")
        time.sleep(1.0)  # longer than a still heart may stand
        assert not waiting.done()
        made = add_version(registry, model, build_key=KEY)
        assert waiting.result(timeout=20).version == made.version
    assert claims(registry, model) == ["first"]


def test_a_run_that_ended_without_a_version_hands_the_turn_on(registry, model):
    registry.finish_run(turn(registry, model, "first"), "FAILED")
    assert isinstance(turn(registry, model, "second"), str)
    assert claims(registry, model) == ["first", "second"]


def test_a_run_without_a_sign_of_life_loses_its_turn(registry, model):
    turn(registry, model, "first")
    clock = time.monotonic()
    turn(registry, model, "second")
    assert time.monotonic() - clock >= PATIENCE.dead
    assert claims(registry, model) == ["first", "second"]


def test_another_try_of_the_same_task_takes_over_at_once(registry, model):
    patience = Patience(look=0.05, beat=0.1, dead=600)
    for _ in range(2):
        take_turn(
            registry,
            model,
            KEY,
            owner="the task",
            start_run=started(registry, model),
            patience=patience,
        )
    assert claims(registry, model) == ["the task", "the task"]


def test_of_six_that_come_at_once_one_gets_the_turn(memory_registry, model, add_version):
    registry = memory_registry

    def one(number):
        found = turn(registry, model, f"task {number}")
        if not isinstance(found, str):
            return found.version
        with heartbeat(registry, found, PATIENCE.beat):
            time.sleep(0.3)
            return add_version(registry, model, build_key=KEY).version

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(6))) == ["1"] * 6
    assert len(claims(registry, model)) == 1


def test_a_heartbeat_changes_until_the_block_ends(memory_registry, model):
    run_id = started(memory_registry, model)()
    with heartbeat(memory_registry, run_id, 0.01):
        time.sleep(0.2)
    count = int(memory_registry.run(run_id).tags[HEARTBEAT])
    assert count > 1
    time.sleep(0.1)
    assert int(memory_registry.run(run_id).tags[HEARTBEAT]) == count


@pytest.mark.server
def test_a_training_that_is_killed_is_taken_over_by_the_run_that_waits(loop, server_registry, model):
    """Two whole trainings of one build, each in a process of its own; the first is killed while it trains."""
    with trainer(loop, server_registry.uri, model, 1) as first:
        wait_until(lambda: list(loop.home.glob("checkpoints-1/*/*/napping")))
        os.kill(first.pid, signal.SIGSTOP)  # so that it cannot come to its end before the second looks
        with trainer(loop, server_registry.uri, model, 2) as second:
            wait_until(lambda: "waiting for what it registers" in (loop.home / "log-2").read_text())
            os.kill(first.pid, signal.SIGKILL)
            out, _ = second.communicate(timeout=200)
    outcome = json.loads(out)
    assert (outcome["version"], outcome["reused"]) == ("1", False)
    assert len(server_registry.entries(model, TRAINING)) == 2
    assert newest(server_registry, model, outcome["build_key"]).version == "1"


@pytest.mark.server
def test_two_trainings_of_one_build_at_once_train_once(loop, server_registry, model):
    uri = server_registry.uri
    with trainer(loop, uri, model, 1) as first, trainer(loop, uri, model, 2) as second:
        outcomes = [json.loads(one.communicate(timeout=200)[0]) for one in (first, second)]
    assert sorted(outcome["reused"] for outcome in outcomes) == [False, True]
    assert len({outcome["version"] for outcome in outcomes}) == 1
    assert len(server_registry.versions(model)) == 1


def test_a_failed_training_lets_the_next_run_try(loop):
    with pytest.raises(TrainingError, match="the disk is full"):
        loop.train(params={"mishap": "raises"})
    with pytest.raises(TrainingError, match="the disk is full"):
        loop.train(params={"mishap": "raises"})
    assert len(loop.registry.entries(loop.model, TRAINING)) == 2


@contextmanager
def trainer(loop, uri, model, number):
    """A process that trains the model and prints the outcome; its log goes to a file."""
    script = Path(__file__).with_name("train_once.py")
    with (loop.home / f"log-{number}").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), uri, str(loop.home), model, str(number)],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"},
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
