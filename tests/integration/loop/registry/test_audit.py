"""Verification and audit on a registry in memory: each kind of harm is found, named, and tells what to do."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_ifp.adapters.registry.ledger import read_ledger, record
from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.adapters.registry.protocol import PROMOTION, ModelVersion, StoredModel
from airflow_provider_ifp.core.errors import DigestMismatchError, VersionNotFoundError
from airflow_provider_ifp.core.registry.chain import event_key, event_text
from airflow_provider_ifp.core.registry.lifecycle import Ledger
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, chain, plan_promotion
from airflow_provider_ifp.loop.registry.audit import audit, repair
from airflow_provider_ifp.loop.registry.move import promote
from airflow_provider_ifp.loop.registry.verify import verify
from airflow_provider_ifp.training.registration import FILES, PROVENANCE

MODEL = "demand"


def attempt(nonce="n"):
    return Attempt(actor="ada", time="2026-01-01T00:00:00Z", nonce=nonce, by="person", reason="because")


@pytest.fixture
def registry(memory_registry, add_version):
    """Versions 1 to 4, of which 1 was in production, 2 is, 3 is in staging, and 4 never stood anywhere."""
    for content in ("one", "two", "three", "four"):
        add_version(memory_registry, MODEL, content=content)
    for version, stage in (("1", "production"), ("2", "production"), ("3", "staging")):
        promote(memory_registry, MODEL, version, stage, attempt=attempt(f"{version} to {stage}"))
    return memory_registry


def stored(registry, version):
    return Path(registry.version(MODEL, version).stored.uri)


def retagged(registry, version, **tags):
    entries = registry._versions[MODEL]
    place = next(place for place, entry in enumerate(entries) if entry.version == version)
    kept = {key: value for key, value in {**entries[place].tags, **tags}.items() if value is not None}
    entries[place] = replace(entries[place], tags=kept)


def found(registry, **how):
    return [(finding.kind, finding.version) for finding in audit(registry, MODEL, **how).findings]


def test_a_registry_that_is_as_the_ledger_says_has_no_findings(registry):
    result = audit(registry, MODEL)
    assert result.findings == ()
    assert (result.events, result.versions, result.verified) == (3, 4, 3)
    assert audit(registry, MODEL, quick=True).verified == 0
    assert repair(registry, MODEL) == []
    for version in "1234":
        checked = verify(registry, registry.version(MODEL, version))
        assert checked.problems == ()
        assert checked.content_digest == registry.version(MODEL, version).content_digest


def test_an_unknown_model_is_no_audit(registry):
    with pytest.raises(VersionNotFoundError, match="there is no model 'demmand' in memory:"):
        audit(registry, "demmand")


HARMS = {
    "changed": (
        lambda at: (at / "data/deep/weights.bin").write_text("x"),
        "data/deep/weights.bin was changed",
    ),
    "removed": (lambda at: (at / "MLmodel").unlink(), "file MLmodel was removed"),
    "added": (lambda at: (at / "sitecustomize.py").write_text(""), "file sitecustomize.py was added"),
}


@pytest.mark.parametrize("version", ["1", "2", "3"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_file_that_is_not_as_it_was_is_named_by_verify_audit_and_promotion(registry, version, harm):
    do, told = HARMS[harm]
    do(stored(registry, version))
    assert any(told in problem for problem in verify(registry, registry.version(MODEL, version)).problems)
    [finding] = audit(registry, MODEL).findings
    assert (finding.kind, finding.version) == ("files", version)
    assert told in finding.what
    assert found(registry, quick=True) == []
    events = read_ledger(registry, MODEL).events
    with pytest.raises(DigestMismatchError, match=told):
        promote(registry, MODEL, version, "shadow", attempt=attempt("again"))
    assert read_ledger(registry, MODEL).events == events


def test_a_damaged_production_is_to_be_rolled_back(registry):
    (stored(registry, "2") / "MLmodel").unlink()
    assert "ifp rollback demand" in audit(registry, MODEL).findings[0].next


def test_a_version_that_never_stood_anywhere_is_not_downloaded_but_its_folder_is_missed(registry):
    (stored(registry, "4") / "MLmodel").unlink()
    assert found(registry) == []
    shutil.rmtree(stored(registry, "4"))
    assert found(registry) == [("files-gone", "4")]


def test_a_tag_that_was_set_to_fit_other_files_contradicts_the_ledger(registry):
    weights = stored(registry, "2") / "data/deep/weights.bin"
    weights.write_text("slipped in")
    retagged(registry, "2", **{"ifp.files_digest": "sha256:" + "0" * 64})
    problems = verify(registry, registry.version(MODEL, "2")).problems
    assert "but ledger event 2 moved the files sha256:" in problems[0]
    assert problems[1] == "file data/deep/weights.bin was changed"
    assert found(registry) == [("files", "2"), ("version-tags", "2")]


def test_a_content_digest_that_was_set_anew_is_told(registry):
    retagged(registry, "2", **{"ifp.content_digest": "sha256:" + "0" * 64})
    [problem] = verify(registry, registry.version(MODEL, "2")).problems
    assert problem.startswith("tag ifp.content_digest is sha256:0000")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"code": {}}', "was changed"),
        (b"{", "is no JSON any more"),
        (b"NaN", "is no JSON"),
        (None, "is gone"),
    ],
)
def test_provenance_that_is_not_as_it_was_is_told(registry, content, told):
    run_id = registry.version(MODEL, "2").run_id
    if content is None:
        registry._files.pop((run_id, PROVENANCE))
    else:
        registry.put_file(run_id, PROVENANCE, content)
    [problem] = verify(registry, registry.version(MODEL, "2")).problems
    assert told in problem
    assert found(registry) == [("provenance", "2")]


def test_the_order_of_keys_in_provenance_does_not_matter(registry):
    run_id = registry.version(MODEL, "2").run_id
    known = json.loads(registry.get_file(run_id, PROVENANCE))
    registry.put_file(run_id, PROVENANCE, json.dumps(known, indent=4).encode())
    assert verify(registry, registry.version(MODEL, "2")).problems == ()


def test_without_its_manifest_a_damage_is_told_though_no_file_can_be_named(registry):
    version = registry.version(MODEL, "2")
    registry._files.pop((version.run_id, FILES))
    assert verify(registry, version).problems == ()
    (stored(registry, "2") / "MLmodel").unlink()
    [problem] = verify(registry, version).problems
    assert "which of them cannot be told: ifp/files.json" in problem


def test_an_alias_that_was_moved_set_or_removed_by_hand_is_found_and_repaired(registry):
    registry.project(MODEL, {"production": "4", "shadow": "1"})
    findings = audit(registry, MODEL).findings
    assert [finding.what for finding in findings] == [
        "Alias staging is not set, but the ledger has version 3 in staging since event 3.",
        "Alias shadow points at version 1, but the ledger has no version in shadow.",
        "Alias production points at version 4, but the ledger has version 2 in production since event 2.",
    ]
    assert all("ifp audit demand --repair" in finding.next for finding in findings)
    assert repair(registry, MODEL) == [
        "alias staging: nothing -> 3",
        "alias shadow: 1 -> nothing",
        "alias production: 4 -> 2",
    ]
    assert found(registry) == []


def test_an_alias_of_a_model_without_a_ledger_is_found_and_left_to_its_owner(memory_registry, add_version):
    add_version(memory_registry, MODEL)
    memory_registry.project(MODEL, {"production": "1"})
    [finding] = audit(memory_registry, MODEL).findings
    assert (finding.kind, "ifp promote demand 1 --to production" in finding.next) == ("alias", True)
    assert repair(memory_registry, MODEL) == []


def test_deleted_versions_are_found_by_the_ledger_and_by_gaps_in_the_numbers(registry, add_version):
    add_version(registry, MODEL, content="five")
    for version in ("1", "2", "4"):
        registry._versions[MODEL] = [v for v in registry._versions[MODEL] if v.version != version]
    findings = [finding for finding in audit(registry, MODEL).findings if finding.kind == "version-deleted"]
    assert [finding.what for finding in findings] == [
        "Version 1 was deleted from the registry. It was in production once.",
        "Version 2 was deleted from the registry. It stands in production.",
        "Version 4 was deleted from the registry.",
    ]
    assert {finding.kind for finding in audit(registry, MODEL).findings} == {
        "version-deleted",
        "orphan-model",
    }


def test_a_training_run_that_was_deleted_or_is_gone_is_found(registry, monkeypatch):
    gone, deleted = registry.version(MODEL, "1").run_id, registry.version(MODEL, "4").run_id
    del registry.runs[gone]
    as_it_is = MemoryRegistry.run
    monkeypatch.setattr(
        MemoryRegistry,
        "run",
        lambda self, run_id: (run := as_it_is(self, run_id)) and replace(run, deleted=run_id == deleted),
    )
    findings = audit(registry, MODEL).findings
    assert [(finding.kind, finding.version) for finding in findings] == [
        ("run-gone", "1"),
        ("run-deleted", "4"),
    ]
    assert f"mlflow runs restore --run-id {deleted}" in findings[1].next


def test_a_version_of_another_hand_is_found(registry):
    stored_model = registry.version(MODEL, "1").stored
    registry.create_version(MODEL, run_id="", stored=stored_model, tags={}, nonce="other")
    assert found(registry) == [("version-foreign", "5")]
    [problem] = verify(registry, registry.version(MODEL, "5")).problems
    assert "was not registered by this provider" in problem


def test_stored_models_and_folders_that_nobody_names_are_found(registry, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    orphan = registry.store_model(MODEL, "run", tmp_path / "model", content_digest="sha256:x")
    folder = Path(registry._store.name, f"{MODEL}-999")
    shutil.copytree(orphan.uri, folder)
    findings = audit(registry, MODEL).findings
    assert [(finding.kind, finding.where) for finding in findings] == [
        ("orphan-model", orphan.uri),
        ("orphan-folder", str(folder)),
    ]


def test_a_stored_model_that_was_deleted_behind_its_version_is_found(registry):
    registry._stored[MODEL] = registry._stored[MODEL][1:]
    assert found(registry) == [("stored-model-deleted", "1")]


def test_an_entry_that_is_no_event_is_found_and_the_rest_is_audited(registry):
    registry.put_entry(MODEL, PROMOTION, event_key(4), "[]")
    registry.project(MODEL, {})
    assert [kind for kind, _ in found(registry)] == ["ledger-entry", "alias", "alias"]
    repair(registry, MODEL)
    assert [kind for kind, _ in found(registry)] == ["ledger-entry"]


def test_a_broken_ledger_does_not_stop_the_audit_and_moves_no_alias(registry):
    del registry._journals[MODEL, PROMOTION][event_key(2)]
    (stored(registry, "1") / "MLmodel").unlink()
    registry.project(MODEL, {"production": "4"})
    assert repair(registry, MODEL) == []
    assert registry.aliases(MODEL) == {"production": "4"}
    findings = audit(registry, MODEL).findings
    assert [finding.kind for finding in findings] == ["ledger-broken", "ledger-broken", "files"]
    assert findings[0].what == "The ledger lacks event 2."


def test_aliases_are_repaired_as_far_as_their_versions_are_there(registry):
    class Strict:
        """As MLflow: an alias cannot be set on a version that is not there."""

        def __getattr__(self, name):
            return getattr(registry, name)

        def project(self, model, stages):
            known = {version.version for version in registry.versions(model)}
            if missing := set(stages.values()) - known:
                raise VersionNotFoundError(f"no version {missing}")
            registry.project(model, stages)

    registry._versions[MODEL] = [v for v in registry._versions[MODEL] if v.version != "2"]
    registry.project(MODEL, {"production": "1"})
    assert repair(Strict(), MODEL) == ["alias staging: nothing -> 3", "alias production: 1 -> nothing"]


def test_ten_thousand_versions_and_five_thousand_events_cost_one_listing_each(registry, monkeypatch):
    """What stands nowhere is neither asked for nor downloaded."""
    ledger = read_ledger(registry, MODEL)
    while len(ledger.events) < 5_000:
        judged = replace(ledger.events[0], action="judge", target=None, files_digest=None)
        ledger = Ledger(MODEL, (*ledger.events, chain(ledger, judged)))
    registry._journals[MODEL, PROMOTION] = {event_key(e.number): event_text(e) for e in ledger.events}
    seed = registry.version(MODEL, "1")
    listed = [
        ModelVersion(
            model=MODEL, version=str(n), run_id=f"r{n}", stored=StoredModel(f"s{n}", f"/s{n}"), created=0,
            tags={**seed.tags, "ifp.files_digest": "sha256:x"},
        )
        for n in range(5, 10_001)
    ]  # fmt: skip
    registry._versions[MODEL] += listed
    registry._stored[MODEL] += [(version.stored, "") for version in listed]
    folders = (*registry.stored_folders(MODEL), *(version.stored.uri for version in listed))
    registry.runs.update({v.run_id: {"model": MODEL, "status": "FINISHED"} for v in listed})
    monkeypatch.setattr(registry, "stored_folders", lambda _: folders)
    downloads = []
    as_it_is = registry.download
    monkeypatch.setattr(
        registry, "download", lambda stored, folder: (downloads.append(stored.id), as_it_is(stored, folder))
    )
    for name in ("version", "find_versions"):
        monkeypatch.setattr(registry, name, lambda *_: pytest.fail("a call for one version"))
    result = audit(registry, MODEL)
    assert (result.findings, result.events, result.versions, len(downloads)) == ((), 5_000, 10_000, 3)


def test_a_retry_of_a_promotion_finds_its_event_though_the_files_were_damaged_since(registry):
    task = attempt("one task")
    first = promote(registry, MODEL, "4", "shadow", attempt=task)
    shutil.rmtree(stored(registry, "4"))
    assert promote(registry, MODEL, "4", "shadow", attempt=task) == first


def test_a_refused_promotion_downloads_nothing(registry, monkeypatch):
    monkeypatch.setattr(registry, "download", lambda *_: pytest.fail("downloaded"))
    plan = Promotion(version="2", target="production")
    with pytest.raises(Exception, match="it stands there already"):
        promote(registry, MODEL, plan.version, plan.target, attempt=attempt("x"))
    record(registry, MODEL, lambda ledger: plan_promotion(ledger, attempt("2 to production"), plan))
