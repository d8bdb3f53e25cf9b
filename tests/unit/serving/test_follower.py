"""The follower on a registry in memory: what it tells, and what it keeps."""

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.core.errors import ModelError, RegistryUnreachableError
from airflow_provider_ifp.core.registry.moves import Attempt
from airflow_provider_ifp.loop.registry.move import promote
from airflow_provider_ifp.serving.cache import VersionCache
from airflow_provider_ifp.serving.follower import Follower
from airflow_provider_ifp.serving.messages import Cleared, Found, NotFetched, RegistrySeen, UnknownModel
from airflow_provider_ifp.training.registration import Registration, register

MODEL = "fares"


class Away:
    def __call__(self):
        raise RegistryUnreachableError("no route to host")


@pytest.fixture
def registry():
    registry = MemoryRegistry()
    yield registry
    registry.close()


@pytest.fixture
def put(registry, tmp_path):
    """Registers a version whose one file has this text, and puts it at a stage."""

    def put(text, stage):
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        (folder / "MLmodel").write_text(f"flavors: {{}}\ntext: {text}\n")
        run = registry.start_run(MODEL, name="", tags={})
        files = {"ifp/profile.json": b"{}"}
        made = register(
            registry,
            Registration(
                model=MODEL, run_id=run, folder=folder, provenance={}, files=files, nonce=uuid.uuid4().hex
            ),
        )
        for target in dict.fromkeys(["staging", stage]):
            now = datetime(2026, 11, 26, tzinfo=UTC).isoformat()
            attempt = Attempt(actor="a test", time=now, nonce=uuid.uuid4().hex, by="person", reason="to see")
            promote(registry, MODEL, made.version, target, attempt=attempt, override="a test")
        return made

    return put


@pytest.fixture
def follow(registry, tmp_path):
    def follow(connect=lambda: registry):
        cache = VersionCache(tmp_path / "cache", "memory:", MODEL)
        told = []
        return Follower(MODEL, ("production", "shadow"), cache, connect, told.append), told, cache

    return follow


def looked(follower, told):
    told.clear()
    follower.look()
    return [message for message in told if message != RegistrySeen("")]


def test_a_version_is_fetched_once_and_told_when_it_changes(follow, put):
    first = put("one", "production")
    follower, told, cache = follow()
    found, cleared = looked(follower, told)
    assert (found.stage, found.version, found.files_digest) == ("production", "1", first.files_digest)
    assert cleared == Cleared("shadow")
    assert Path(found.folder, "MLmodel").read_text().endswith("text: one\n")
    assert Path(found.profile).read_text() == "{}"
    assert looked(follower, told) == []
    put("two", "production")
    assert [(message.stage, message.version) for message in looked(follower, told)] == [("production", "2")]
    assert cache.find("production", "1") == found


def test_a_shadow_is_told_and_so_is_its_end(follow, put):
    put("one", "production")
    follower, told, _ = follow()
    follower.look()
    put("two", "shadow")
    assert [(type(m), m.stage) for m in looked(follower, told)] == [(Found, "shadow")]


def test_files_that_were_changed_are_not_kept(follow, put, registry):
    made = put("one", "production")
    Path(made.stored.uri, "MLmodel").write_text("changed: true\n")
    follower, told, cache = follow()
    refused, _ = looked(follower, told)
    assert isinstance(refused, NotFetched)
    assert "the stored files are not those that were registered" in refused.reason
    assert cache.find("production", "1") is None
    assert looked(follower, told) == []


def test_a_copy_that_was_found_damaged_is_fetched_again(follow, put):
    put("one", "production")
    follower, told, cache = follow()
    found, _ = looked(follower, told)
    cache.discard("1")
    assert looked(follower, told) == [found]
    assert Path(found.folder, "MLmodel").exists()
    assert looked(follower, told) == []


def test_a_model_that_is_not_there_is_told(follow):
    follower, told, _ = follow()
    assert UnknownModel("there is no model 'fares' in memory:") in looked(follower, told)


def test_while_the_registry_is_away_the_last_good_version_is_told_once(follow, put):
    put("one", "production")
    follower, told, cache = follow()
    found, _ = looked(follower, told)
    cache.mark_good("production", "1")
    lonely, told, _ = follow(Away())
    assert looked(lonely, told) == [RegistrySeen("no route to host"), found]
    assert looked(lonely, told) == [RegistrySeen("no route to host")]


def test_the_cache_keeps_three_versions_and_those_that_answer(follow, put):
    follower, _, cache = follow()
    for number in range(1, 7):
        put(f"text {number}", "production")
        follower.look()
        if number == 1:
            cache.mark_good("production", "1")
    kept = [number for number in "123456" if cache.find("production", number)]
    assert kept == ["1", "4", "5", "6"]


def test_of_two_servers_that_fetch_a_version_at_once_each_finds_it_whole(follow, tmp_path):
    (_, _, one), (_, _, other) = follow(), follow()
    with one.adding("1", "sha256:a") as mine, other.adding("1", "sha256:a") as theirs:
        (mine / "model").mkdir()
        (theirs / "model").mkdir()
    assert one.find("production", "1") == other.find("production", "1") is not None
    assert not list(tmp_path.rglob(".fetching-*"))


def test_what_killed_servers_left_in_the_cache_makes_room_for_a_fetch(follow, put, tmp_path):
    put("one", "production")
    follower, told, cache = follow()
    looked(follower, told)
    (folder,) = (path.parent for path in tmp_path.rglob("version.json"))
    (folder / "version.json").unlink()  # half deleted
    (folder.parent / ".fetching-x").mkdir()
    os.utime(folder.parent / ".fetching-x", (0, 0))
    assert [type(message) for message in looked(follower, told)] == [Found]
    assert cache.find("production", "1") is not None
    assert not (folder.parent / ".fetching-x").exists()


def test_a_cache_that_others_may_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ModelError, match="others may write there"):
        VersionCache(tmp_path, "memory:", MODEL)
