"""Spools: batches that outlive their process."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.log_rows import SCHEMA, numbered, rows

from airflow_provider_ifp.serving.log.spool import Spool, SpoolName, dead_spools, read_spool

NAME = SpoolName("fares", "production", "0" * 32)


@pytest.fixture
def spool(tmp_path):
    made = Spool.create(tmp_path, NAME, "s3://lake/log", SCHEMA)
    yield made
    made.close()


def ids(path):
    table, _ = read_spool(path)
    return [] if table is None else table["request_id"].to_pylist()


def test_what_was_appended_is_read_back_with_the_root(spool):
    spool.append(rows(range(3)))
    spool.append(rows(range(3, 5)))
    table, root = read_spool(spool.path)
    assert (table["request_id"].to_pylist(), root) == (numbered(5), "s3://lake/log")
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert (spool.rows, spool.size) == (5, spool.path.stat().st_size)


def test_a_spool_cut_at_any_byte_gives_its_whole_batches(spool, tmp_path):
    ends = [spool.size]
    for number in range(3):
        spool.append(rows([number]))
        ends.append(spool.size)
    content = spool.path.read_bytes()
    cut = tmp_path / "cut"
    for length in sorted({*range(0, len(content), 23), *ends, *(end - 1 for end in ends)}):
        cut.write_bytes(content[:length])
        assert ids(cut) == numbered(max(0, sum(length >= end for end in ends) - 1))


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6), share=st.floats(0, 1))
def test_batches_of_any_size_survive_a_cut_of_what_follows(tmp_path_factory, sizes, share):
    folder = tmp_path_factory.mktemp("spool")
    made = Spool.create(folder, NAME, "/log", SCHEMA)
    start = 0
    for size in sizes:
        before = made.size
        made.append(rows(range(start, start + size)))
        start += size
    made.close()
    os.truncate(made.path, before + int(share * (made.size - before - 1)))
    assert ids(made.path) == numbered(start - sizes[-1])


def test_a_batch_that_the_disk_takes_only_half_of_is_cut_off(spool, monkeypatch):
    spool.append(rows([0]))
    write = os.write

    def fill_up(file, content):
        if len(content) < 500:
            raise OSError(28, "No space left on device")
        return write(file, content[:300])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill_up)
        with pytest.raises(OSError, match="No space left"):
            spool.append(rows(range(1, 40)))
    assert spool.path.stat().st_size == spool.size
    spool.append(rows([1]))
    assert ids(spool.path) == numbered(2)


def test_a_living_writers_spool_is_not_taken_and_a_dead_ones_is(spool, tmp_path):
    assert list(dead_spools(tmp_path)) == []
    spool.close()
    [taken] = dead_spools(tmp_path)
    assert (taken.path, taken.name) == (spool.path, NAME)
    assert list(dead_spools(tmp_path)) == []
    taken.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_that_never_got_its_name_is_cleared_away_and_other_files_stay(tmp_path):
    nameless = tmp_path / f".{NAME}"
    nameless.touch()
    (tmp_path / "notes.txt").write_text("mine")
    assert list(dead_spools(tmp_path)) == []
    assert nameless.exists(), "its writer may be about to lock it"
    os.utime(nameless, (0, 0))
    assert list(dead_spools(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_spool_that_another_process_removed_meanwhile_is_not_taken(spool, monkeypatch):
    spool.close()
    opened = os.open

    def open_and_lose(path, *arguments):
        file = opened(path, *arguments)
        spool.path.unlink()
        return file

    monkeypatch.setattr(os, "open", open_and_lose)
    assert Spool.take(spool.path) is None
