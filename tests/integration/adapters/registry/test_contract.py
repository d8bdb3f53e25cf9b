"""What every registry promises: in memory, on an MLflow server, and on MLflow's database in this process."""

from dataclasses import dataclass, field

import pytest

from airflow_provider_ifp.adapters.registry.ledger import read_ledger
from airflow_provider_ifp.adapters.registry.protocol import Measurement
from airflow_provider_ifp.core.errors import RegistryError, VersionNotFoundError


@dataclass
class Recorded:
    """What a registry kept of a run."""

    status: str
    tags: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)


@pytest.fixture
def recorded(registry):
    """Read a run back past the Protocol, which only writes runs."""

    def from_memory(run_id):
        metrics = {}
        for one in registry.metrics[run_id]:
            metrics.setdefault(one.key, []).append((one.step, one.value))
        facts = registry.runs[run_id]
        return Recorded(facts["status"], facts, registry.params[run_id], metrics)

    def from_mlflow(run_id):
        client = registry._client
        run = client.get_run(run_id)
        metrics = {
            key: [(one.step, one.value) for one in client.get_metric_history(run_id, key)]
            for key in run.data.metrics
        }
        return Recorded(run.info.status, run.data.tags, run.data.params, metrics)

    return from_memory if registry.uri == "memory:" else from_mlflow


@pytest.fixture
def run_id(registry, model):
    return registry.start_run(model, name="first", tags={"ifp.model": model, "team": "x"})


@pytest.fixture
def folder(tmp_path):
    """A model's files: nested, one empty, one with every byte."""
    model = tmp_path / "model"
    (model / "data" / "a b" / "ü").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "data" / "a b" / "ü" / "weights.bin").write_bytes(bytes(range(256)) * 5000)
    (model / "data" / "empty.txt").touch()
    return model


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_run_keeps_its_tags_and_ends_as_it_is_told(registry, model, run_id, recorded):
    assert recorded(run_id).status == "RUNNING"
    assert recorded(run_id).tags["team"] == "x"
    for status in ("FAILED", "KILLED", "FINISHED"):
        other = registry.start_run(model, name=status, tags={})
        registry.finish_run(other, status)
        assert recorded(other).status == status
    assert recorded(run_id).status == "RUNNING"


def test_a_param_is_written_once_and_the_same_value_again_is_no_error(registry, run_id, recorded):
    registry.log_params(run_id, {"lr": "0.1", "layers": "2"})
    registry.log_params(run_id, {"lr": "0.1"})
    with pytest.raises(RegistryError, match=r"lr.*0\.1"):
        registry.log_params(run_id, {"lr": "0.2"})
    assert recorded(run_id).params == {"lr": "0.1", "layers": "2"}


def test_metrics_are_kept_with_their_steps_more_than_one_call_can_carry(registry, run_id, recorded):
    registry.log_metrics(
        run_id, [Measurement("loss", 1 / (1 + step), step, 1_000 + step) for step in range(1_200)]
    )
    registry.log_metrics(run_id, [Measurement("rmse", 11.5, 0, 5_000), Measurement("rmse", 11.0, 1, 6_000)])
    found = recorded(run_id).metrics
    assert sorted(found["rmse"]) == [(0, 11.5), (1, 11.0)]
    assert len(found["loss"]) == 1_200
    assert (999, 1 / 1_000) in found["loss"]


def test_nothing_to_log_is_no_error(registry, run_id, recorded):
    registry.log_params(run_id, {})
    registry.log_metrics(run_id, [])
    assert recorded(run_id).params == {}


def test_a_file_of_a_run_comes_back_byte_for_byte_and_a_second_writing_replaces_it(registry, run_id):
    content = bytes(range(256)) * 40
    registry.put_file(run_id, "ifp/profile.json", b"older and longer than what follows")
    registry.put_file(run_id, "ifp/profile.json", content)
    registry.put_file(run_id, "top.txt", b"")
    assert registry.get_file(run_id, "ifp/profile.json") == content
    assert registry.get_file(run_id, "top.txt") == b""


@pytest.mark.parametrize("path", ["ifp/shadow.json", "nowhere/a.json", "a.json", "ifp"])
def test_a_file_that_is_not_there_is_none(registry, run_id, path):
    registry.put_file(run_id, "ifp/profile.json", b"{}")
    assert registry.get_file(run_id, path) is None


def test_a_version_has_all_that_it_was_created_with(registry, model, run_id, folder):
    stored = registry.store_model(model, run_id, folder, content_digest="sha256:c")
    assert registry.versions(model) == ()
    tags = {"ifp.content_digest": "sha256:c", "ifp.files_digest": "sha256:f", "commit": "a4f9c22"}
    made = registry.create_version(model, run_id=run_id, stored=stored, tags=tags, nonce="n1")
    assert (made.model, made.version, made.run_id, made.stored) == (model, "1", run_id, stored)
    assert tags.items() <= made.tags.items()
    assert (made.content_digest, made.files_digest, made.build_key) == ("sha256:c", "sha256:f", "unrecorded")
    assert registry.version(model, "1") == made
    assert registry.versions(model) == (made,)


def test_the_same_nonce_gives_the_same_version_and_another_the_next(registry, model, run_id, folder):
    stored = registry.store_model(model, run_id, folder, content_digest="sha256:c")
    numbers = [
        registry.create_version(model, run_id=run_id, stored=stored, tags={}, nonce=nonce).version
        for nonce in ("a", "a", "b", "a")
    ]
    assert numbers == ["1", "1", "2", "1"]
    assert [entry.stored for entry in registry.versions(model)] == [stored, stored]


def test_versions_come_in_the_order_of_their_numbers(registry, model, run_id, folder):
    stored = registry.store_model(model, run_id, folder, content_digest="sha256:c")
    for number in range(12):
        registry.create_version(model, run_id=run_id, stored=stored, tags={}, nonce=f"n{number}")
    assert [entry.version for entry in registry.versions(model)] == [str(number) for number in range(1, 13)]


@pytest.mark.parametrize("version", ["13", "0", "two", "-1", "²"])
def test_a_version_that_is_not_there_is_an_error_that_lists_those_there_are(
    registry, model, run_id, folder, version
):
    stored = registry.store_model(model, run_id, folder, content_digest="sha256:c")
    for nonce in ("a", "b"):
        registry.create_version(model, run_id=run_id, stored=stored, tags={}, nonce=nonce)
    with pytest.raises(VersionNotFoundError, match=rf"{model} has no version '{version}' .*versions: 1, 2$"):
        registry.version(model, version)


def test_a_model_that_nobody_registered_has_no_versions_aliases_or_events(registry, model):
    assert registry.versions(model) == ()
    assert registry.aliases(model) == {}
    assert read_ledger(registry, model).events == ()
    with pytest.raises(VersionNotFoundError, match=f"{model} has no version '1' .*versions: none"):
        registry.version(model, "1")


def test_a_journal_says_whether_it_has_an_entry_and_knows_nothing_of_the_other_journals(registry, model):
    assert not registry.has_entry(model, "promotion", "event.0000001")
    registry.put_entry(model, "promotion", "event.0000001", "{}")
    registry.put_entry(model, "training", "build.1", "a claim")
    keys = ["event.0000001", "event.0000002", "build.1"]
    assert [registry.has_entry(model, "promotion", key) for key in keys] == [True, False, False]
    assert [registry.has_entry(model, "training", key) for key in keys] == [False, False, True]


def test_all_runs_of_a_model_are_listed_and_those_of_another_are_not(registry, model, add_version):
    made = [add_version(registry, model), add_version(registry, model, content="others")]
    add_version(registry, f"{model}-b")
    assert registry.training_runs(f"{model}-c") == {}
    found = registry.training_runs(model)
    assert set(found) == {version.run_id for version in made}
    assert {(run.status, run.deleted) for run in found.values()} == {("FINISHED", False)}


def test_the_run_that_holds_a_journal_is_known_once_there_is_one(registry, model):
    assert registry.journal_run(model, "promotion") is None
    registry.put_entry(model, "promotion", "event.0000001", "{}")
    run_id = registry.journal_run(model, "promotion")
    assert (run_id is None) == (registry.uri == "memory:")
    assert run_id is None or registry.run(run_id).status == "RUNNING"


def test_a_download_has_the_files_byte_for_byte(registry, model, run_id, folder, tmp_path):
    stored = registry.store_model(model, run_id, folder, content_digest="sha256:c")
    version = registry.create_version(model, run_id=run_id, stored=stored, tags={}, nonce="n")
    expected = files(folder)
    target = tmp_path / "downloaded"
    target.mkdir()
    registry.download(version.stored, target)
    assert files(target) == expected
    absent = tmp_path / "not" / "there yet"
    registry.download(version.stored, absent)
    assert files(absent) == expected
    assert sorted(path.name for path in target.parent.iterdir()) == ["downloaded", "model", "not"]


def test_the_stored_files_are_the_registrys_own(registry, model, run_id, folder, tmp_path):
    stored = registry.store_model(model, run_id, folder, content_digest="sha256:c")
    version = registry.create_version(model, run_id=run_id, stored=stored, tags={}, nonce="n")
    expected = files(folder)
    (folder / "MLmodel").write_text("changed afterwards")
    registry.download(version.stored, tmp_path / "first")
    (tmp_path / "first" / "MLmodel").write_text("changed in a copy")
    registry.download(version.stored, tmp_path / "second")
    assert files(tmp_path / "second") == expected


def test_two_models_do_not_see_each_other(registry, model, add_version):
    first = add_version(registry, model)
    second = add_version(registry, f"{model}-b", content="others")
    assert (first.version, second.version) == ("1", "1")
    registry.project(model, {"production": "1"})
    assert registry.aliases(f"{model}-b") == {}


def test_aliases_become_what_they_are_told_and_go_when_a_stage_empties(registry, model, add_version):
    for number in range(3):
        add_version(registry, model, content=f"weights {number}")
    steps = [
        {"staging": "1"},
        {"production": "1"},
        {"production": "1", "staging": "2", "shadow": "3"},
        {"production": "2", "shadow": "3"},
        {"production": "2", "shadow": "3"},
        {},
    ]
    for stages in steps:
        registry.project(model, stages)
        assert registry.aliases(model) == stages
