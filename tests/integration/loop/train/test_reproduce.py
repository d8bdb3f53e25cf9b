"""Versions trained again from their record: real repositories, real trainers, and what is gone."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pytest

from airflow_provider_ifp.core.errors import DigestMismatchError, ReproductionError, VersionNotFoundError
from airflow_provider_ifp.loop.train.reproduce import Wish, reproduce

HERE = Path(__file__).parent
START = datetime(2024, 1, 1, tzinfo=UTC)
HOLDOUT = datetime(2024, 1, 27, tzinfo=UTC)


class Project:
    """A repository with a training script beside a loop's data, and a bare one that it was pushed to."""

    def __init__(self, loop):
        self.loop = loop
        self.folder = loop.home / "project"
        self.scratch = loop.home / "scratch"
        (self.folder / "training").mkdir(parents=True)
        for name in ("entrypoint_wobbly.py", "wobble.py"):
            shutil.copy(HERE / name, self.folder / "training")
        self.origin = loop.home / "origin.git"
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()
        subprocess.run(["git", "clone", "--quiet", "--bare", self.folder, self.origin], check=True)
        self.git("remote", "add", "origin", f"file://{self.origin}")

    def git(self, *words):
        done = subprocess.run(["git", "-C", self.folder, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "a commit")

    def write(self, name, text):
        (self.folder / "training" / name).write_text(text)

    def append(self, name, text):
        self.write(name, (self.folder / "training" / name).read_text() + text)

    def train(self, *, entrypoint="project/training/entrypoint_wobbly.py", **params):
        policy = self.loop.policy(
            train={"entrypoint": entrypoint, "params": params}, data={"features": ["x", "z"]}
        )
        return self.loop.train(policy=policy)["version"]

    def reproduce(self, version="1", **wish):
        made = reproduce(
            self.loop.registry,
            self.loop.model,
            version,
            launcher=self.loop.launcher,
            wish=Wish(scratch=self.scratch, **wish),
        )
        assert not self.scratch.exists() or list(self.scratch.iterdir()) == []
        return made


@pytest.fixture(scope="module", autouse=True)
def settings(tmp_path_factory):
    """Git by nobody's settings; and trainers without torch, which takes seconds to import."""
    folder = tmp_path_factory.mktemp("without-torch")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        for key in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{key}_NAME", "ada")
            patch.setenv(f"GIT_{key}_EMAIL", "ada@example.com")
        yield


@pytest.fixture(scope="module")
def shared(module_loop):
    """A project with one version, trained at a clean commit; who changes anything puts it back."""
    project = Project(module_loop)
    project.train()
    return project


@pytest.fixture
def project(loop, warm_python):
    return Project(loop)


def test_an_old_commit_is_found_in_the_tree_at_hand_and_gives_the_same_bits(shared):
    """The tree has gone on since, and is dirty: neither counts, and it stays as it is."""
    shared.append("wobble.py", "\nraise SystemExit('newer code')\n")
    shared.commit()
    shared.append("wobble.py", "\nraise SystemExit('and newer')\n")
    runs, before = shared.loop.statuses, shared.git("status", "--porcelain")
    answer = shared.reproduce()
    assert (answer["answer"], answer["warnings"]) == ("bitwise", [])
    assert answer["found_digest"] == answer["content_digest"]
    assert answer["code"] == f"commit {shared.git('rev-parse', 'HEAD~1')[:12]}"
    assert shared.loop.statuses == runs
    assert shared.git("status", "--porcelain") == before
    assert shared.git("worktree", "list").count("\n") == 0


def test_the_answer_is_stamped_on_the_version_and_whole_in_its_run(shared):
    answer = shared.reproduce(repository=str(shared.loop.home / "nowhere"))
    version = shared.loop.registry.version(shared.loop.model, "1")
    stamp = json.loads(version.tags["ifp.reproduced"])
    assert (stamp["answer"], stamp["reason"]) == ("impossible", answer["reason"])
    assert json.loads(shared.loop.registry.get_file(version.run_id, "ifp/reproduction.json")) == answer
    assert len(version.tags["ifp.reproduced"]) < 5_000


def test_a_clone_of_the_recorded_address_serves_where_the_tree_is_gone(shared):
    moved = shared.folder.rename(shared.folder.with_name("moved"))
    try:
        answer = shared.reproduce()
    finally:
        moved.rename(shared.folder)
    assert answer["answer"] == "bitwise", answer["reason"]


def test_a_commit_that_is_gone_is_named_with_each_place_that_was_tried(shared):
    commit = json.loads(
        shared.loop.registry.get_file(
            shared.loop.registry.version("demand", "1").run_id, "ifp/provenance.json"
        )
    )["code"]["commit"]
    moved = [path.rename(path.with_name(f"{path.name}-moved")) for path in (shared.folder, shared.origin)]
    try:
        answer = shared.reproduce()
    finally:
        for path, place in zip(moved, (shared.folder, shared.origin), strict=True):
            path.rename(place)
    assert answer["answer"] == "impossible"
    assert answer["reason"].startswith(f"commit {commit} is gone: file://{shared.origin}: ")
    assert answer["reason"].endswith("name a repository that has it")
    assert answer["found_digest"] is None


def test_a_repository_that_the_caller_names_is_the_only_one_asked(shared, tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    answer = shared.reproduce(repository=str(tmp_path))
    assert answer["answer"] == "impossible"
    assert answer["reason"].count(str(tmp_path)) == 1
    assert "origin.git" not in answer["reason"]


def test_data_that_was_overwritten_is_told_with_its_rows(shared):
    rows = shared.loop.rows(START, days=60)
    try:
        shared.loop.write_data(rows.slice(0, 10))
        gone = shared.reproduce()
        shared.loop.write_data(rows.filter(pc.not_equal(rows["request_id"], "20240101-1000")))
        changed = shared.reproduce()
    finally:
        shared.loop.write_data(rows)
    assert (gone["answer"], changed["answer"]) == ("impossible", "impossible")
    assert gone["reason"].startswith("the data is gone: ")
    assert "no row in the window" in gone["reason"]
    assert changed["reason"].startswith("the data was overwritten: 2,400 rows -> 2,399 rows, digest sha256:")


def test_packages_that_changed_are_named(shared, tmp_path, monkeypatch):
    folder = tmp_path / "made_up-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    answer = shared.reproduce(repository=str(tmp_path))
    assert answer["warnings"] == ["made-up none -> 1.0"]


def test_a_record_that_was_changed_is_not_trained_from(shared):
    registry = shared.loop.registry
    run_id = registry.version(shared.loop.model, "1").run_id
    content = registry.get_file(run_id, "ifp/provenance.json")
    try:
        for forged in (content.replace(b'"seed":7', b'"seed":8'), b"no json"):
            registry.put_file(run_id, "ifp/provenance.json", forged)
            with pytest.raises(DigestMismatchError, match="is not what was registered"):
                shared.reproduce()
    finally:
        registry.put_file(run_id, "ifp/provenance.json", content)


def test_what_nobody_launched_cannot_be_trained_again(shared):
    version = shared.loop.register(lambda frame: frame["x"])
    answer = shared.reproduce(version)
    assert answer["answer"] == "impossible"
    assert answer["reason"].startswith("no entrypoint is on record")


def test_a_version_of_another_hand_has_no_record(shared):
    registry, model = shared.loop.registry, shared.loop.model
    stored = registry.version(model, "1").stored
    made = registry.create_version(model, run_id="", stored=stored, tags={}, nonce="by hand")
    answer = shared.reproduce(made.version)
    assert answer["reason"].startswith("it was not registered by this provider")


def test_a_version_or_stage_that_is_not_there_is_an_error(shared):
    for version in ("77", "@production"):
        with pytest.raises(VersionNotFoundError):
            shared.reproduce(version)


def test_what_is_to_be_kept_is_kept_in_a_folder_that_must_be_new(shared, tmp_path):
    answer = shared.reproduce(keep=tmp_path / "kept")
    assert answer["answer"] == "bitwise"
    assert (tmp_path / "kept" / "code" / "training" / "wobble.py").exists()
    assert (tmp_path / "kept" / "work" / "model" / "MLmodel").exists()
    with pytest.raises(ReproductionError, match="is there already"):
        shared.reproduce(keep=tmp_path / "kept")


def test_what_was_not_committed_comes_back_from_the_patch_untracked_modules_too(project):
    project.write("extra.py", "SCALE = 2.0\n")
    project.append("entrypoint_wobbly.py", "\nfrom extra import SCALE  # noqa\n")
    project.write(".gitignore", "extra.py\n")
    project.train()
    project.git("checkout", "--quiet", ".")
    for name in ("extra.py", ".gitignore"):
        (project.folder / "training" / name).unlink()
    answer = project.reproduce()
    assert answer["answer"] == "bitwise", answer["reason"]
    assert answer["code"].endswith(" and ifp/dirty.patch")


def test_a_patch_that_was_lost_is_not_passed_over(project):
    project.append("wobble.py", "\n# not committed\n")
    project.train()
    registry = project.loop.registry
    del registry._files[registry.version("demand", "1").run_id, "ifp/dirty.patch"]
    answer = project.reproduce()
    assert answer["answer"] == "impossible"
    assert "ifp/dirty.patch of run " in answer["reason"]
    assert "is gone, and the tree was not clean" in answer["reason"]


def test_a_patch_that_was_changed_is_refused(project):
    project.append("wobble.py", "\n# not committed\n")
    project.train()
    registry = project.loop.registry
    registry._files[registry.version("demand", "1").run_id, "ifp/dirty.patch"] = b"another"
    with pytest.raises(DigestMismatchError, match=r"ifp/dirty\.patch is not the one that was recorded"):
        project.reproduce()


def test_chance_that_no_seed_reaches_gives_another_model(project):
    project.train(noise=1.0)
    answer = project.reproduce()
    assert answer["answer"] == "different"
    assert answer["largest_difference"] > 0.01
    assert (answer["labels_changed"], answer["compared_on"], answer["rows"]) == (None, "holdout", 600)
    assert answer["files_changed"] == ["data/data/model.pkl"]
    assert answer["reason"].startswith("holdout, over 600 rows: largest difference of predictions ")


def test_a_little_chance_gives_the_same_model_within_the_tolerances(project):
    project.train(noise=1e-5, kind="scores")
    answer = project.reproduce()
    assert answer["answer"] == "numeric", answer["reason"]
    assert 0 < answer["largest_difference"] < 0.01
    assert answer["labels_changed"] <= 0.01
    assert answer["found_digest"] != answer["content_digest"]


def test_without_the_holdout_the_training_rows_serve_and_that_is_said(project):
    project.train(noise=1e-5, kind="labels")
    rows = project.loop.rows(START, days=60)
    project.loop.write_data(rows.filter(pc.less(rows["ts"], HOLDOUT)))
    answer = project.reproduce()
    assert (answer["answer"], answer["compared_on"], answer["rows"]) == ("numeric", "training", 2_400)
    assert (answer["largest_difference"], answer["spread"]) == (None, None)
    assert "the holdout cannot be read any more" in answer["reason"]


def test_code_that_lay_in_no_repository_comes_from_the_version_itself(loop):
    loop.train()
    (loop.home / "entrypoint_linear.py").unlink()
    answer = reproduce(
        loop.registry, "demand", "1", launcher=loop.launcher, wish=Wish(scratch=loop.home / "scratch")
    )
    assert answer["answer"] == "bitwise", answer["reason"]
    assert answer["code"].startswith(
        "the version's own code/, since it lay in no commit (not a git repository"
    )


def test_of_a_package_the_checkout_wins_over_what_is_importable_now(project, monkeypatch):
    package = project.folder / "src" / "wobbly_pkg"
    package.mkdir(parents=True)
    for name in ("entrypoint_wobbly.py", "wobble.py"):
        text = (project.folder / "training" / name).read_text()
        (package / name).write_text(text.replace("from wobble", "from wobbly_pkg.wobble"))
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    project.commit()
    project.train(entrypoint="wobbly_pkg.entrypoint_wobbly:train")
    (package / "wobble.py").write_text("raise SystemExit('newer code')\n")
    answer = project.reproduce()
    assert answer["answer"] == "bitwise", answer["reason"]


def test_a_trainer_that_is_killed_leaves_nothing_and_the_reason_is_told(project, monkeypatch):
    project.train()
    monkeypatch.setenv("WOBBLE", "vanishes")
    answer = project.reproduce()
    assert answer["answer"] == "impossible"
    assert "training it again failed: the trainer was ended by signal 9" in answer["reason"]
