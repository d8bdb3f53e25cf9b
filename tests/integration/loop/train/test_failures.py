"""Training that does not end well: nothing is registered, nothing runs on, and the run says how it ended."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psutil
import pytest

from airflow_provider_ifp.core.errors import LossNotFiniteError, PreemptedError, TrainingError

SECONDS = 60


@pytest.fixture
def hanging(loop):
    """A training that hangs, under way in another thread: its future, and the processes of its tree."""
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(loop.train, params={"mishap": "hangs"})
        deadline = time.monotonic() + SECONDS
        while not (pids := reported(loop)):
            assert not outcome.done(), outcome.exception()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield outcome, [psutil.Process(int(pid)) for pid in pids.split(",")]
        finally:
            loop.launcher.kill()


def reported(loop):
    for params in loop.registry.params.values():
        if "pids" in params:
            return params["pids"]
    return None


def require_gone(processes):
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert alive == []


def test_a_killed_trainer_registers_nothing_and_leaves_no_process(loop, hanging):
    outcome, (trainer, child) = hanging
    assert loop.statuses == ["RUNNING"]
    [run_id] = loop.registry.runs
    assert [one.step for one in loop.registry.metrics[run_id]] == [0, 1, 2]  # while it runs
    trainer.kill()
    with pytest.raises(TrainingError) as told:
        outcome.result(SECONDS)
    assert str(told.value) == (
        "the trainer was ended by signal 9 (out of memory?); nothing is registered; its log stands above"
    )
    require_gone([trainer, child])
    loop.require_untouched(["FAILED"])


def test_a_task_that_is_killed_ends_the_whole_tree_within_airflows_five_seconds(loop, hanging):
    outcome, processes = hanging
    started = time.monotonic()
    loop.launcher.kill()
    assert time.monotonic() - started < 5
    require_gone(processes)
    with pytest.raises(TrainingError, match="ended by signal 15"):
        outcome.result(SECONDS)
    loop.require_untouched(["FAILED"])


def test_training_that_takes_too_long_is_killed(loop):
    policy = loop.policy()
    # Shorter than a policy can say: the smallest unit there is a minute.
    hasty = policy.train.model_copy(update={"timeout": timedelta(seconds=2)})
    with pytest.raises(TrainingError, match=r"took longer than train\.timeout allows, and was killed"):
        loop.train(policy=policy.model_copy(update={"train": hasty}), params={"mishap": "hangs"})
    assert not psutil.pid_exists(loop.launcher._process.pid)
    loop.require_untouched(["FAILED"])


def test_training_that_raises_registers_nothing_and_its_message_is_the_users(loop, caplog):
    with pytest.raises(TrainingError) as told, caplog.at_level("INFO"):
        loop.train(params={"mishap": "raises"})
    assert str(told.value) == "training failed, nothing is registered: RuntimeError: the disk is full"
    assert re.search(r'entrypoint_linear\.py", line \d+, in _raise', caplog.text)
    loop.require_untouched(["FAILED"])


def test_a_loss_that_is_nan_ends_training_and_says_that_no_retry_helps(loop):
    with pytest.raises(LossNotFiniteError) as told:
        loop.train(params={"mishap": "diverges"})
    assert str(told.value) == (
        "metric 'loss' is nan at step 3; the same training would end so again: lower the learning rate, or "
        "look for missing values in the data"
    )
    loop.require_untouched(["FAILED"])
    [metrics] = loop.registry.metrics.values()
    assert [one.step for one in metrics] == [0, 1, 2]


def test_a_trainer_that_exits_before_its_model_is_saved_registers_nothing(loop):
    with pytest.raises(TrainingError, match="training failed, nothing is registered: SystemExit: 0"):
        loop.train(params={"mishap": "exits"})
    loop.require_untouched(["FAILED"])


def test_a_training_that_is_preempted_goes_on_from_its_checkpoints_when_tried_again(loop):
    wish = {"params": {"mishap": "is preempted"}, "nonce": "the task, whichever try"}
    with pytest.raises(PreemptedError, match="the machine is taken away"):
        loop.train(**wish)
    loop.require_untouched(["FAILED"])
    outcome = loop.train(**wish)
    assert loop.registry.params[outcome["run_id"]]["went_on_from"] == "half trained"
    assert (outcome["version"], loop.statuses) == ("1", ["FAILED", "FINISHED"])
    assert list((loop.home / "checkpoints" / "demand").iterdir()) == []
