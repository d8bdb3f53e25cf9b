"""The commands on versions and the ledger, on a real MLflow server, whole and damaged by hand."""

import getpass
import json
import shutil
import subprocess
import sys
import uuid
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from airflow_provider_ifp.adapters.registry.protocol import PROMOTION
from airflow_provider_ifp.cli import main
from airflow_provider_ifp.core.registry.chain import event_key

pytestmark = pytest.mark.server


@pytest.fixture
def ifp(capsys, mlflow_uri, model):
    """Runs a command on the model in this process; returns exit code, standard output, standard error."""

    def run(command, *words, uri=mlflow_uri):
        capsys.readouterr()
        try:
            code = main([command, model, *words, "--tracking-uri", uri])
        except SystemExit as exit_:  # argparse
            code = exit_.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def answer(ifp):
    """The exit code and the JSON of a command; on standard output there is nothing else."""

    def run(*words):
        code, out, _ = ifp(*words, "--json")
        return code, json.loads(out)

    return run


@pytest.fixture
def versions(server_registry, model, add_version):
    """Versions 1 to 3 of different content, and 4, the twin of 1."""
    contents = ("one", "two", "three", "one")
    return [add_version(server_registry, model, content=content, tags={"team": "x"}) for content in contents]


@pytest.fixture
def promoted(ifp, versions):
    """1 was in production, 2 is, 3 is in staging."""
    for version, stage in (("1", "production"), ("2", "production"), ("3", "staging")):
        assert ifp("promote", version, "--to", stage, "--reason", f"put {version} to {stage}")[0] == 0
    return versions


@pytest.fixture
def byhand(mlflow_uri, mlflow_folder, model, server_registry):
    """What somebody can do past this provider: MLflow's client, and the server's disk."""
    return SimpleNamespace(
        model=model,
        client=MlflowClient(mlflow_uri, mlflow_uri),
        ledger_run=lambda: server_registry.journal_run(model, PROMOTION),
        aliases=lambda: server_registry.aliases(model),
        folder_of=lambda version: Path(
            mlflow_folder, "artifacts", version.stored.uri.removeprefix("mlflow-artifacts:/")
        ),
    )


def kinds(findings):
    return [(finding["kind"], finding["version"]) for finding in findings]


def test_versions_are_listed_with_their_stages(answer, ifp, promoted):
    code, told = answer("versions")
    assert code == 0
    assert [(entry["version"], entry["stage"]) for entry in told["versions"]] == [
        ("1", "archived"),
        ("2", "production"),
        ("3", "staging"),
        ("4", None),
    ]
    assert [entry["content_digest"] for entry in told["versions"]] == [v.content_digest for v in promoted]
    assert {entry["build_key"] for entry in told["versions"]} == {"unrecorded"}
    assert all(datetime.fromisoformat(entry["created"]).tzinfo for entry in told["versions"])
    code, out, err = ifp("versions")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["1", "archived"],
        ["2", "production"],
        ["3", "staging"],
        ["4", "-"],
    ]


def test_a_version_is_shown_with_its_provenance(answer, ifp, promoted):
    code, told = answer("show", "@production")
    assert (code, told["version"], told["stage"], told["content_digest"]) == (
        0,
        "2",
        "production",
        promoted[1].content_digest,
    )
    assert told["provenance"] == {"code": {"commit": "c0ffee"}}
    assert told["tags"] == {"team": "x"}
    assert "commit: c0ffee" in ifp("show", "2")[1]


def test_of_two_versions_what_differs_is_shown(answer, ifp, promoted):
    code, told = answer("show", "1", "@production")
    assert (code, told["a"], told["b"]) == (0, "1", "2")
    fields = {entry["field"]: (entry["a"], entry["b"]) for entry in told["differences"]}
    assert fields["stage"] == ("archived", "production")
    assert fields["content_digest"] == (promoted[0].content_digest, promoted[1].content_digest)
    assert "provenance.code.commit" not in fields
    assert "VERSION 1" in ifp("show", "1", "2")[1]


def test_history_says_who_moved_what_when_and_why_and_what_stood_where_then(answer, ifp, promoted):
    code, told = answer("history")
    assert code == 0
    assert set(told) == {"events"}
    assert [
        (event["event"], event["action"], event["version"], event["to"], event["replaced"], event["reason"])
        for event in told["events"]
    ] == [
        (1, "promote", "1", "production", None, "put 1 to production"),
        (2, "promote", "2", "production", "1", "put 2 to production"),
        (3, "promote", "3", "staging", None, "put 3 to staging"),
    ]
    assert {event["actor"] for event in told["events"]} == {getpass.getuser()}
    assert answer("history", "--at", "2020-01-01T12:00") == (
        0,
        {
            "events": [],
            "at": "2020-01-01T12:00:00+00:00",
            "stages": {"staging": None, "shadow": None, "production": None},
        },
    )
    code, told = answer("history", "--at", "2999-01-01")
    assert (len(told["events"]), told["stages"]["production"]) == (3, "2")
    assert "put 3 to staging" in ifp("history")[1]


def test_a_promotion_and_a_rollback_by_hand_say_what_they_did(answer, versions, server_registry, model):
    assert answer("promote", "1", "--to", "production", "--reason", "r", "--expect", "none") == (
        0,
        {"model": model, "version": "1", "stage": "production", "replaced": None, "event": 1},
    )
    code, moved = answer("promote", "2", "--to", "production", "--reason", "r", "--expect", "1")
    assert (code, moved["replaced"]) == (0, "1")
    code, moved = answer("rollback", "--reason", "it is wrong")
    assert (code, moved["version"], moved["replaced"]) == (0, "1", "2")
    assert answer("rollback", "--to", "2", "--reason", "it was right")[1]["version"] == "2"
    assert server_registry.aliases(model) == {"production": "2"}


REFUSED = [
    (["promote", "2", "--to", "production", "--reason", "r"], 1, "it stands there already"),
    (
        ["promote", "3", "--to", "production", "--reason", "r", "--expect", "1"],
        1,
        "expected production version 1, but there is now production version 2",
    ),
    (
        ["promote", "3", "--to", "production", "--reason", "r", "--expect", "none"],
        1,
        "expected no production version, but there is now production version 2",
    ),
    (["promote", "9", "--to", "staging", "--reason", "r"], 2, "no version '9'"),
    (["promote", "two", "--to", "staging", "--reason", "r"], 2, "no version 'two'"),
    (["promote", "@shadow", "--to", "staging", "--reason", "r"], 2, "no version at @shadow"),
    (["rollback", "--to", "4", "--reason", "r"], 1, "version 4 never was in production"),
    (["rollback", "--to", "9", "--reason", "r"], 2, "no version '9'"),
    (["verify", "9"], 2, "no version '9'"),
    (["show", "1", "9"], 2, "no version '9'"),
]


def test_what_is_refused_or_wrong_is_told_and_changes_nothing(ifp, promoted, server_registry, model):
    before = server_registry.entries(model, PROMOTION)
    for words, code, told in REFUSED:
        found, out, err = ifp(*words, "--json")
        assert (words, found, out) == (words, code, "")
        assert told in err
        assert err.startswith("ifp: ")
    assert server_registry.entries(model, PROMOTION) == before


def test_an_unknown_model_is_wrong_input(ifp):
    for words in (
        ["versions"],
        ["history"],
        ["audit"],
        ["audit", "--repair"],
        ["show", "1"],
        ["verify", "1"],
    ):
        code, out, err = ifp(*words, "--json")
        assert (words, code, out) == (words, 2, "")
        assert "Traceback" not in err
        assert err.startswith("ifp: ")


def test_whole_versions_verify_and_audit_clean(answer, ifp, promoted, model):
    for version in ("1", "@production", "@staging", "4"):
        code, told = answer("verify", version)
        assert (code, told["ok"], told["problems"]) == (0, True, [])
    assert told["content_digest"] == promoted[3].content_digest
    assert answer("audit")[1]["findings"] == []
    code, out, err = ifp("audit")
    assert (code, err) == (0, "")
    assert out == f"{model}: ok (3 events, 4 versions, files of 3 downloaded)\n"


def test_each_damaged_file_is_named_on_a_real_store(answer, ifp, promoted, byhand):
    changed, removed, added = (byhand.folder_of(version) for version in promoted[:3])
    (changed / "data" / "deep" / "weights.bin").write_text("other weights")
    (removed / "data" / "deep" / "weights.bin").unlink()
    (added / "code").mkdir()
    (added / "code" / "evil.py").write_text("")
    assert answer("verify", "1")[1]["problems"] == ["file data/deep/weights.bin was changed"]
    code, told = answer("verify", "@production")
    assert (code, told["ok"], told["problems"]) == (1, False, ["file data/deep/weights.bin was removed"])
    assert answer("verify", "3")[1]["problems"] == ["file code/evil.py was added"]
    # Version 4 shares the stored files of version 1.
    assert answer("verify", "4")[1]["problems"] == ["file data/deep/weights.bin was changed"]
    code, out, err = ifp("verify", "3")
    assert (code, err) == (1, "")
    assert out.endswith("is not what was registered:\n  file code/evil.py was added\n")
    code, told = answer("audit")
    assert (code, kinds(told["findings"])) == (1, [("files", "1"), ("files", "2"), ("files", "3")])
    assert answer("audit", "--quick") == (0, {**answer("audit", "--quick")[1], "ok": True, "findings": []})
    for words in (["promote", "4", "--to", "shadow"], ["rollback"]):
        code, out, err = ifp(*words, "--reason", "r")
        assert (code, out) == (1, "")
        assert "the stored files are not those that were registered: file data/deep/weights.bin was ch" in err


def test_files_that_are_gone_are_told_without_a_traceback(answer, promoted, byhand):
    shutil.rmtree(byhand.folder_of(promoted[1]).parent)
    code, told = answer("verify", "2")
    assert (code, told["problems"]) == (
        1,
        ["file MLmodel was removed", "file data/deep/weights.bin was removed"],
    )
    assert kinds(answer("audit")[1]["findings"]) == [("files-gone", "2")]


def test_an_audit_finds_what_was_done_by_hand_and_repairs_the_aliases(answer, ifp, promoted, byhand):
    client, model = byhand.client, byhand.model
    client.set_registered_model_alias(model, "production", "4")
    client.delete_run(promoted[3].run_id)
    client.delete_model_version(model, "1")
    client.set_model_version_tag(model, "2", "ifp.files_digest", "sha256:" + "0" * 64)
    client.log_param(byhand.ledger_run(), event_key(4), "[]")
    orphan = byhand.folder_of(promoted[0]).parents[1] / f"m-{uuid.uuid4().hex}" / "artifacts"
    orphan.mkdir(parents=True)
    (orphan / "MLmodel").write_text("flavors: {}")
    client.create_model_version(
        model, source="s3://elsewhere/model", run_id=promoted[2].run_id, await_creation_for=0
    )
    # Version 4 has the files that 1 had, so no stored model is an orphan.
    remaining = [
        ("ledger-entry", None),
        ("version-tags", "2"),
        ("version-foreign", "5"),
        ("version-deleted", "1"),
        ("run-deleted", "4"),
        ("orphan-folder", None),
    ]
    code, told = answer("audit")
    assert (code, told["ok"]) == (1, False)
    assert kinds(told["findings"]) == [remaining[0], ("alias", "4"), *remaining[1:]]
    assert told["findings"][1]["where"] == "alias production"
    assert all(finding["what"].endswith(".") and finding["next"] for finding in told["findings"])
    code, told = answer("audit", "--repair")
    assert (code, told["repaired"]) == (1, ["alias production: 4 -> 2"])
    assert kinds(told["findings"]) == remaining
    assert byhand.aliases() == {"production": "2", "staging": "3"}
    code, out, _ = ifp("audit", "--repair", "--quick")
    assert code == 1
    assert out.startswith(f"repaired nothing\n{model}: 6 findings")


def test_a_deleted_ledger_run_and_a_deleted_genesis_are_found_and_stop_no_audit(
    answer, ifp, promoted, byhand
):
    client, model, run_id = byhand.client, byhand.model, byhand.ledger_run()
    client.delete_run(run_id)
    [finding] = answer("audit")[1]["findings"]
    assert (finding["kind"], f"mlflow runs restore --run-id {run_id}" in finding["next"]) == (
        "ledger-run-deleted",
        True,
    )
    code, out, err = ifp("promote", "1", "--to", "shadow", "--reason", "r")
    assert (code, out) == (2, "")
    assert f"mlflow runs restore --run-id {run_id}" in err
    client.restore_run(run_id)
    genesis = client.get_experiment_by_name(f"ifp-ledger/{model}/genesis").experiment_id
    client.delete_experiment(genesis)
    code, told = answer("audit", "--repair")
    assert (code, kinds(told["findings"]), told["repaired"]) == (1, [("ledger-unreadable", None)], [])
    assert ifp("history")[0] == 2
    client.restore_experiment(genesis)
    assert answer("audit")[0] == 0


def test_a_registered_model_that_was_deleted_leaves_findings_and_no_traceback(answer, promoted, byhand):
    byhand.client.delete_registered_model(byhand.model)
    code, told = answer("audit", "--repair")
    assert code == 1
    assert {"alias", "version-deleted", "orphan-model"} == {finding["kind"] for finding in told["findings"]}
    assert len(answer("history")[1]["events"]) == 3


def test_a_server_that_does_not_answer_is_told_at_once(ifp):
    code, out, err = ifp("audit", uri="http://127.0.0.1:9")
    assert (code, out) == (2, "")
    assert err.startswith("ifp: MLflow at http://127.0.0.1:9 does not answer")


def test_the_installed_command_prints_its_json_alone(promoted, model, mlflow_uri):
    command = Path(sys.executable).with_name("ifp")
    done = subprocess.run(
        [command, "verify", model, "@production", "--json", "--tracking-uri", mlflow_uri],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True
