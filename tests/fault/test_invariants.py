"""The instruments themselves: a fault that was made on purpose is counted."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.fault.invariants import look
from tests.fault.jobs import Acknowledgements, Job, perform

from airflow_provider_ifp.adapters.registry.ledger import append, read_ledger
from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.core.errors import PromotionRefusedError
from airflow_provider_ifp.core.registry.moves import chain

MODEL = "demand"
REGISTER = Job(kind="register", model=MODEL, nonce="a", content="weights")
PROMOTE = Job(kind="promote", model=MODEL, nonce="b", version="1", targets=("production",))
JOBS = [REGISTER, PROMOTE]


@dataclass
class Memory:
    """A place in this process."""

    kept: MemoryRegistry
    folder: Path

    @property
    def done(self):
        return Acknowledgements(self.folder / "acknowledged")

    def registry(self):
        return self.kept


@pytest.fixture
def place(tmp_path, memory_registry):
    place = Memory(memory_registry, tmp_path)
    for job in JOBS:
        perform(place.kept, job, place.done)
    return place


@pytest.fixture
def memory_registry():
    registry = MemoryRegistry()
    yield registry
    registry.close()


def seen(place, **options):
    return look(place, MODEL, JOBS, scratch=place.folder / "fetched", **options)


def test_what_is_whole_has_no_faults(place):
    found = seen(place)
    assert (found.acknowledged, found.events, found.versions, found.stale) == (3, 2, 1, 0)
    assert found.faults == {}


def test_an_acknowledged_step_that_is_not_there_is_lost(place):
    place.done.note("a", "2")  # another answer than before
    assert seen(place).faults == {"lost": 1}


def test_an_event_that_stands_elsewhere_than_acknowledged_is_lost(place):
    place.done.note("b.judge", "7")
    assert seen(place).faults == {"lost": 1}


def test_a_second_event_of_one_attempt_is_doubled(place):
    ledger = read_ledger(place.kept, MODEL)
    append(place.kept, MODEL, chain(ledger, ledger.events[0]))
    assert seen(place).faults == {"doubled": 1}


def test_an_event_that_the_rules_do_not_give_is_told(place):
    ledger = read_ledger(place.kept, MODEL)
    again = replace(ledger.events[1], nonce="c.production")
    append(place.kept, MODEL, chain(ledger, again))
    job = replace(PROMOTE, nonce="c")
    with pytest.raises(PromotionRefusedError, match="stands there already"):
        look(place, MODEL, [*JOBS, job])


def test_an_alias_left_behind_is_stale_and_right_after_the_repair(place):
    place.kept.project(MODEL, {"staging": "1"})
    unrepaired = seen(place, repair=False)
    assert (unrepaired.stale, unrepaired.faults) == (2, {"wrong": 2})
    repaired = look(place, MODEL, JOBS)
    assert (repaired.stale, repaired.faults) == (2, {})


def test_a_version_whose_files_are_not_whole_is_damaged(place):
    [version] = place.kept.versions(MODEL)
    shutil.rmtree(Path(version.stored.uri) / "data")
    assert seen(place).faults == {"damaged": 1}


def test_a_version_that_a_repeated_request_made_is_counted_and_may_be_named_by_no_event(place):
    [first] = place.kept.versions(MODEL)
    place.kept._versions[MODEL].append(replace(first, version="2"))
    assert (seen(place).repeated, look(place, MODEL, JOBS).faults) == (1, {})
    other = Job(kind="promote", model=MODEL, nonce="c", version="2", targets=("staging",))
    perform(place.kept, other, place.done)
    with pytest.raises(AssertionError, match="which a repeated request made"):
        look(place, MODEL, [*JOBS, other])
