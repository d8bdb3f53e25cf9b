"""A kill -9 of any of the server's processes under load: what callers notice, and what the log has then."""

import math
import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import requests

pytestmark = pytest.mark.server

LOST = 0.5
"""Seconds before a kill whose answers the log may miss."""
NOTICED = 0.1
"""Seconds until the server knows of it, for want of a CPU: nobody took what it handed on meanwhile."""
CALLERS = 4


class Callers:
    """Each asks one row after the other; what was answered, and when, and what failed, and how."""

    def __init__(self, url, name):
        self.url, self.name = url, name
        self.answered = {}
        self.failed = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(place,)) for place in range(CALLERS)]

    def _ask(self, place):
        body = {"inputs": {"price": [1.0], "count": [2], "kind": ["a"]}}
        number = 0
        with requests.Session() as session:
            while not self.stopping.is_set():
                number += 1
                identity = f"{self.name}-{place}-{number}"
                try:
                    reply = session.post(
                        f"{self.url}/invocations", json=body, headers={"x-request-id": identity}, timeout=30
                    )
                except requests.RequestException as error:
                    self.failed.append(str(error))
                    return
                if reply.status_code == 200:
                    self.answered[identity] = time.monotonic()
                else:
                    self.failed.append(reply.text)


@contextmanager
def calling(shop, name):
    """Callers who ask for a second before the block, and until its end."""
    callers = Callers(shop.url, name)
    for thread in callers.threads:
        thread.start()
    time.sleep(1.0)
    try:
        yield callers
    finally:
        callers.stopping.set()
        for thread in callers.threads:
            thread.join()


def process_of(shop, module):
    """The process of one of the server's modules."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        words = command.read_bytes().split(b"\0")
        above = (command.parent / "stat").read_text().rpartition(")")[2].split()[1]
        if module.encode() in words and int(above) == shop.server.process.pid:
            return int(command.parent.name)
    raise AssertionError(module)


def logged(shop, name):
    """How often each answer of some callers is in the log; every file is read whole."""
    ids = Counter()
    for path in shop.log.rglob("stage=production/**/[!.]*.parquet"):
        ids.update(pq.ParquetFile(path).read(["request_id"])["request_id"].to_pylist())
    return Counter({key: count for key, count in ids.items() if key.startswith(f"{name}-")})


def require_logged(shop, callers, late=()):
    """All answers but those get into the log, each once."""
    sure = callers.answered.keys() - set(late)
    shop.wait_until(lambda: sure <= logged(shop, callers.name).keys(), f"{len(sure)} answers in the log")
    assert set(logged(shop, callers.name).values()) == {1}


def answered_at(callers, killed, until=math.inf):
    """What was answered in the half second before a kill, and in the longest pause that the machine made."""
    times = sorted(callers.answered.values())
    pause = max(later - one for one, later in pairwise(times))
    first = killed - LOST - pause
    return [identity for identity, at in callers.answered.items() if first <= at <= until]


def test_a_killed_worker_costs_no_answer_and_no_row(shop):
    with calling(shop, "worker") as callers:
        (worker,) = shop.workers()
        os.kill(worker, signal.SIGKILL)
        shop.wait_until(lambda: shop.workers() not in ([], [worker]), "another worker")
        time.sleep(0.5)
    assert callers.failed == []
    require_logged(shop, callers)


def test_a_killed_log_process_loses_half_a_second_of_rows_and_no_answer(shop):
    with calling(shop, "log") as callers:
        process = process_of(shop, "airflow_provider_ifp.serving.log.process")
        os.kill(process, signal.SIGKILL)
        killed = time.monotonic()
        time.sleep(4.0)
    assert callers.failed == []
    late = answered_at(callers, killed, until=killed + NOTICED)
    require_logged(shop, callers, late)


def test_a_killed_server_loses_half_a_second_of_rows_and_its_processes_end(shop):
    with calling(shop, "server") as callers:
        children = [
            process_of(shop, f"airflow_provider_ifp.serving.{name}") for name in ("worker.spare", "follower")
        ]
        children += shop.workers()
        killed = time.monotonic()
        shop.server.process.kill()
        shop.server.process.wait()
        shop.services.started.remove(shop.server)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}/exe").exists() for child in children):
        assert time.monotonic() < deadline, "a process outlives its server"
        time.sleep(0.1)
    # Somebody changed what was fetched, too: it is fetched again.
    (copy,) = (shop.folder / "cache").rglob("model.pkl")
    copy.write_bytes(copy.read_bytes() + b" ")
    shop.start()
    late = answered_at(callers, killed)
    require_logged(shop, callers, late)


def test_a_stop_under_load_fails_no_request_that_was_taken(shop):
    with calling(shop, "stop") as callers:
        assert shop.stop() == 0
    assert len(callers.failed) == CALLERS  # their last, each
    assert all("refused" in said for said in callers.failed), callers.failed
    assert logged(shop, "stop") == Counter(callers.answered.keys())
