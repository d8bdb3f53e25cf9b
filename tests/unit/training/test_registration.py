"""Files first, version last; the same content is stored once; what was stored is checked before it opens."""

import json

import pytest

from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DigestMismatchError, IfpError, ModelError, RegistryError
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.registration import (
    FILES,
    Registration,
    content_digest,
    files_digest,
    register,
    require_whole,
)

MODEL = "flight-time"
MLMODEL = """\
artifact_path: {run}
flavors:
  python_function:
    loader_module: airflow_provider_ifp.training.pyfunc
    python_version: {python}
mlflow_version: 3.17.2
model_id: m-{run}
model_size_bytes: {size}
model_uuid: {run}
run_id: {run}
utc_time_created: '2013-06-0{day} 12:00:00'
"""


class Recording(MemoryRegistry):
    """Notes the calls that change something, and fails at one of them, where a name is given."""

    def __init__(self, failing=None):
        super().__init__()
        self.calls, self.failing = [], failing

    def _note(self, name, detail=""):
        if self.failing == name:
            raise RegistryError(f"{name} failed")
        self.calls.append(f"{name} {detail}".strip())

    def put_file(self, run_id, path, content):
        self._note("put_file", path)
        super().put_file(run_id, path, content)

    def store_model(self, model, run_id, folder, *, content_digest):
        self._note("store_model")
        return super().store_model(model, run_id, folder, content_digest=content_digest)

    def create_version(self, model, *, run_id, stored, tags, nonce):
        self._note("create_version")
        return super().create_version(model, run_id=run_id, stored=stored, tags=tags, nonce=nonce)


@pytest.fixture
def registry():
    made = Recording()
    yield made
    made.close()


@pytest.fixture
def saved(tmp_path):
    """A saved model's folder; MLflow writes other facts into it each time."""
    made = []

    def save(weights=b"weights", *, python="3.11.9"):
        made.append(tmp_path / f"model-{len(made)}")
        (made[-1] / "data").mkdir(parents=True)
        (made[-1] / "data" / "model.pkl").write_bytes(weights)
        facts = {"run": f"a{len(made)}", "size": len(made), "day": len(made), "python": python}
        (made[-1] / "MLmodel").write_text(MLMODEL.format(**facts))
        return made[-1]

    return save


def registration(folder, nonce="n1", run_id="run-1", **more):
    given = {"provenance": {"code": {"commit": "a4f9c22"}, "seed": 7}} | more
    return Registration(model=MODEL, run_id=run_id, folder=folder, nonce=nonce, **given)


def test_the_version_comes_last_after_all_that_it_refers_to(registry, saved):
    register(registry, registration(saved(), files={"ifp/profile.json": b"{}"}))
    assert registry.calls == [
        "store_model",
        "put_file ifp/profile.json",
        "put_file ifp/files.json",
        "put_file ifp/provenance.json",
        "create_version",
    ]


def test_a_version_has_the_contracts_tags_from_its_creation_on_and_the_users_beside_them(registry, saved):
    folder = saved()
    provenance = {"code": {"commit": "a4f9c22"}, "seed": 7}
    made = register(
        registry,
        registration(
            folder,
            provenance=provenance,
            build_key="sha256:key",
            data_digest="sha256:data",
            seed="7",
            tags={"team": "x", "commit": "mine"},
        ),
    )
    assert made.tags == {
        "ifp.content_digest": content_digest(folder),
        "ifp.files_digest": files_digest(folder),
        "ifp.build_key": "sha256:key",
        "ifp.provenance_digest": digest_json(provenance),
        "ifp.code_commit": "a4f9c22",
        "ifp.data_digest": "sha256:data",
        "ifp.seed": "7",
        "ifp.nonce": "n1",
        "team": "x",
        "commit": "mine",
    }
    assert registry.version(MODEL, made.version) == made
    stored = json.loads(registry.get_file("run-1", "ifp/provenance.json"))
    assert digest_json(stored) == made.tags["ifp.provenance_digest"]


@pytest.mark.parametrize("provenance", [{}, {"code": {}}, {"code": {"commit": None}}])
def test_what_was_not_seen_is_unrecorded(registry, saved, provenance):
    tags = register(registry, registration(saved(), provenance=provenance)).tags
    unrecorded = {key for key, value in tags.items() if value == "unrecorded"}
    assert unrecorded == {"ifp.build_key", "ifp.code_commit", "ifp.data_digest", "ifp.seed"}


def test_the_same_content_is_stored_once_and_both_versions_are_whole(registry, saved, tmp_path):
    first = register(registry, registration(saved()))
    second = register(registry, registration(saved(), "n2", "run-2"))
    assert (first.version, second.version) == ("1", "2")
    assert registry.calls.count("store_model") == 1
    assert second.stored == first.stored
    assert second.content_digest == first.content_digest
    assert second.run_id == "run-2"
    # Its own MLmodel had other bytes: what counts is what lies in the store.
    assert second.files_digest == first.files_digest
    fetch(registry, second, tmp_path / "got")


def test_other_content_is_stored_apart(registry, saved):
    first, second = (
        register(registry, registration(saved(weights), nonce))
        for weights, nonce in ((b"one", "n1"), (b"two", "n2"))
    )
    assert registry.calls.count("store_model") == 2
    assert first.stored != second.stored
    assert first.content_digest != second.content_digest


def test_a_repeated_attempt_returns_the_version_that_it_made(registry, saved):
    first = register(registry, registration(saved()))
    again = register(registry, registration(saved(), run_id="run-2"))
    assert again == first
    assert len(registry.versions(MODEL)) == 1


@pytest.mark.parametrize("failing", ["put_file", "store_model", "create_version"])
def test_a_failure_leaves_no_version_and_a_repeated_call_goes_on(saved, tmp_path, failing):
    registry, folder = Recording(failing), saved()
    with pytest.raises(RegistryError, match=f"{failing} failed"):
        register(registry, registration(folder))
    assert registry.versions(MODEL) == ()
    registry.failing = None
    made = register(registry, registration(folder))
    assert made.version == "1"
    fetch(registry, made, tmp_path / "got")
    registry.close()


def test_provenance_that_has_no_digest_makes_no_version(registry, saved):
    with pytest.raises(IfpError, match="nan has no JSON form"):
        register(registry, registration(saved(), provenance={"params": {"rate": float("nan")}}))
    assert registry.versions(MODEL) == ()


def test_a_folder_that_is_no_model_makes_no_version(registry, tmp_path):
    with pytest.raises(ModelError, match=r"nothing: no such folder"):
        register(registry, registration(tmp_path / "nothing"))
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match=r"no MLmodel"):
        register(registry, registration(tmp_path / "model"))
    assert registry.calls == []


def test_the_content_digest_minds_what_the_model_is_and_not_who_saved_it_when(saved):
    digest = content_digest(saved())
    assert content_digest(saved()) == digest
    assert content_digest(saved(b"other weights")) != digest
    assert content_digest(saved(python="3.12.1")) != digest
    assert files_digest(saved()) != files_digest(saved())


def changed(folder):
    (folder / "data" / "model.pkl").write_bytes(b"weightS")


def removed(folder):
    (folder / "data" / "model.pkl").unlink()


def added(folder):
    (folder / "data" / "sitecustomize.py").write_text("import os")


def renamed(folder):
    (folder / "data" / "model.pkl").rename(folder / "data" / "model.pickle")


def described_otherwise(folder):
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace("ifp.training", "evil.training"))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (changed, "file data/model.pkl was changed"),
        (removed, "file data/model.pkl was removed"),
        (added, "file data/sitecustomize.py was added"),
        (renamed, "file data/model.pickle was added, file data/model.pkl was removed"),
        (described_otherwise, "file MLmodel was changed"),
    ],
)
def test_files_that_were_touched_in_the_store_are_named_before_anything_is_opened(
    registry, saved, tmp_path, harm, told
):
    made = register(registry, registration(saved()))
    harm(tmp_path.joinpath(made.stored.uri))
    with pytest.raises(DigestMismatchError) as caught:
        fetch(registry, made, tmp_path / "got")
    said = str(caught.value)
    assert said.startswith(
        f"flight-time version 1: the stored files are not those that were registered: {told} (expected"
    )
    assert made.files_digest in said
    assert made.stored.uri in said


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b"{", b'{"MLmodel": "0"}', b'{"../x": "0"}'])
def test_without_the_manifest_that_was_registered_no_file_is_named(registry, saved, tmp_path, manifest):
    made = register(registry, registration(saved()))
    if manifest is None:
        registry._files.pop((made.run_id, FILES))
    else:
        registry.put_file(made.run_id, FILES, manifest)
    fetch(registry, made, tmp_path / "whole")
    changed(tmp_path.joinpath(made.stored.uri))
    with pytest.raises(DigestMismatchError, match=r"not those that were registered \(expected sha256:"):
        fetch(registry, made, tmp_path / "got")


@pytest.mark.parametrize(
    "text", [b"a: [", b"\xff\xfe\x00", b"just words", b""], ids=["yaml", "bytes", "text", "empty"]
)
def test_an_mlmodel_that_is_none_has_no_content_digest(saved, text):
    folder = saved()
    (folder / "MLmodel").write_bytes(text)
    with pytest.raises(ModelError, match="its MLmodel"):
        content_digest(folder)


def test_a_link_in_place_of_a_file_is_refused(registry, saved, tmp_path):
    made = register(registry, registration(saved()))
    fetch(registry, made, tmp_path / "got")
    (tmp_path / "got" / "data" / "model.pkl").unlink()
    (tmp_path / "got" / "data" / "model.pkl").symlink_to("/etc/hostname")
    with pytest.raises(ModelError, match="is a link or no regular file"):
        require_whole(made, tmp_path / "got")


def test_a_version_of_another_hand_cannot_be_verified_and_says_so(registry, saved):
    folder = saved()
    stored = registry.store_model(MODEL, "run-1", folder, content_digest="")
    foreign = registry.create_version(MODEL, run_id="run-1", stored=stored, tags={}, nonce="n")
    with pytest.raises(
        DigestMismatchError, match=r"version 1 has no tag 'ifp\.files_digest': it was not reg"
    ):
        require_whole(foreign, folder)
