"""Where code stands in git, what differs from its commit, and the same code again from both."""

import hashlib
import os
import subprocess

import pytest

from airflow_provider_ifp.adapters.code.git import apply_patch, check_out, dirty_patch, git_facts, has_commit
from airflow_provider_ifp.core.errors import SourceCodeError


class Repository:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self("init", "--quiet", "--initial-branch=main")

    def __call__(self, *words):
        done = subprocess.run(["git", "-C", self.folder, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, **files):
        for name, content in files.items():
            self.write(f"{name.replace('__in__', '/')}.py", content)
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "-m", "a commit")
        return self("rev-parse", "HEAD")

    def files(self):
        """Every file of the repository's own, .git included: reading must change none of them."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).digest() for path in paths
        }


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    """A user whose settings would spoil a careless patch."""
    config = tmp_path / "gitconfig"
    config.write_text(
        "[diff]\nnoprefix = true\nexternal = false\nrelative = true\n[color]\nui = always\n"
        '[protocol "file"]\nallow = always\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for key in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{key}_NAME", "ada")
        monkeypatch.setenv(f"GIT_{key}_EMAIL", "ada@example.com")


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "repository")
    made.commit(train="a = 1\n", models__in__net="b = 1\n")
    return made


def again(repository, folder, files=()):
    """The code again, from nothing but its record."""
    facts = git_facts(repository.folder, files)
    check_out(str(repository.folder), facts["commit"], folder)
    patch = dirty_patch(repository.folder, files)
    if patch:
        apply_patch(folder, patch)
    return folder


def test_a_clean_commit_is_named_with_its_repository_but_without_its_credentials(repository):
    repository("remote", "add", "origin", "https://ci:secret@example.com/a@b.git")
    repository.write("untracked.txt", "no part of the code")
    assert git_facts(repository.folder, ["train.py"]) == {
        "commit": repository("rev-parse", "HEAD"),
        "repository": "https://example.com/a@b.git",
        "dirty": False,
        "prefix": "",
    }
    assert dirty_patch(repository.folder, ["train.py"]) is None


def test_the_prefix_is_the_folder_within_the_repository(repository):
    facts = git_facts(repository.folder / "models", ["net.py"])
    assert (facts["prefix"], facts["repository"], facts["dirty"]) == ("models/", None, False)


@pytest.mark.parametrize("ignored", [False, True])
def test_code_that_git_does_not_track_makes_a_tree_dirty_and_is_in_the_patch(repository, tmp_path, ignored):
    repository.commit(other="")
    if ignored:
        repository.write(".git/info/exclude", "*.py\n")
    repository.write("models/loss.py", "c = 1\n")
    repository.write("models/unrelated.py", "d = 1\n")
    assert git_facts(repository.folder, ["train.py"])["dirty"] is False
    assert git_facts(repository.folder / "models", ["net.py", "loss.py"])["dirty"] is True
    facts = git_facts(repository.folder / "models", ["net.py", "loss.py"])
    check_out(str(repository.folder), facts["commit"], tmp_path / "again")
    apply_patch(tmp_path / "again", dirty_patch(repository.folder / "models", ["net.py", "loss.py"]))
    assert (tmp_path / "again" / "models" / "loss.py").read_text() == "c = 1\n"
    assert not (tmp_path / "again" / "models" / "unrelated.py").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a = 1\n", b"a = 2\n"),
        (b"a = 1\n\n\n\n\n", b"a = 2  \n\n\n\n\n"),
        ("city = 'Zürich'\n".encode("latin-1"), "city = 'Köln'\n".encode("latin-1")),
        (bytes(range(256)), bytes(reversed(range(256)))),
        (b"no end", b"no end of it"),
        (b"one\r\ntwo\r\n", b"one\r\nthree\n"),
    ],
)
def test_what_differs_from_the_commit_is_a_patch_that_applies(repository, tmp_path, before, after):
    repository.write("train.py", before)
    repository.commit()
    repository.write("train.py", after)
    repository.write("new.py", after)
    folder = again(repository, tmp_path / "again", ["train.py", "new.py"])
    assert git_facts(repository.folder)["dirty"] is True
    assert (folder / "train.py").read_bytes() == after
    assert (folder / "new.py").read_bytes() == after


def test_a_change_of_the_same_length_within_a_tick_of_the_commit_is_in_the_patch(repository):
    repository("config", "core.trustctime", "false")
    file, moment = repository.folder / "train.py", 1_700_000_000
    repository.write("train.py", "a = 1\n")
    os.utime(file, (moment, moment))
    repository.commit()
    repository.write("train.py", "a = 2\n")
    for path in (file, repository.folder / ".git" / "index"):
        os.utime(path, (moment, moment))
    assert b"+a = 2" in dirty_patch(repository.folder, ["train.py"])


def test_the_patch_has_the_changes_of_the_whole_tree_staged_removed_and_renamed_ones_too(
    repository, tmp_path
):
    repository.write("settings.yaml", "rate: 1\n")
    repository.commit(gone="e = 1\n", old="f = 1\n")
    repository.write("settings.yaml", "rate: 2\n")
    repository("rm", "--quiet", "gone.py")
    repository("mv", "old.py", "moved.py")
    repository.write("staged.py", "g = 1\n")
    repository("add", "staged.py")
    folder = tmp_path / "again"
    check_out(str(repository.folder), repository("rev-parse", "HEAD"), folder)
    apply_patch(folder, dirty_patch(repository.folder / "models", ["net.py"]))
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git/" not in f"{path}/"}
    assert there == {"settings.yaml", "moved.py", "staged.py", "train.py", "models", "models/net.py"}
    assert (folder / "settings.yaml").read_text() == "rate: 2\n"


def test_reading_leaves_every_file_of_the_repository_as_it_is(repository):
    repository.write("train.py", "a = 2\n")
    repository.write("new.py", "new\n")
    os.utime(repository.folder / "models" / "net.py")  # git would note its time in the index
    before = repository.files()
    assert git_facts(repository.folder, ["train.py", "new.py"])["dirty"]
    assert dirty_patch(repository.folder, ["train.py", "new.py"])
    assert repository.files() == before


def test_a_hook_that_starts_us_sends_no_question_to_its_own_repository(repository, tmp_path, monkeypatch):
    other = Repository(tmp_path / "other")
    other.commit(other="")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    found = git_facts(repository.folder, ["train.py"])
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert found["commit"] == repository("rev-parse", "HEAD")
    assert found["dirty"] is False


def test_outside_of_git_there_is_no_commit_and_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    facts = git_facts(tmp_path)
    assert facts["commit"] is None
    assert facts["reason"].startswith("not a git repository")
    assert dirty_patch(tmp_path) is None


def test_a_repository_without_a_commit_says_so(tmp_path):
    made = Repository(tmp_path / "empty")
    made.write("train.py", "a = 1\n")
    made("add", "train.py")
    assert git_facts(made.folder, ["train.py"]) == {
        "commit": None,
        "reason": "the repository has no commit yet",
    }
    assert dirty_patch(made.folder, ["train.py"]) is None


def test_a_repository_of_another_user_says_so(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    facts = git_facts(repository.folder)
    assert facts["commit"] is None
    assert facts["reason"].startswith("detected dubious ownership in repository at")
    assert dirty_patch(repository.folder) is None


def test_a_machine_without_git_says_so(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_facts(repository.folder) == {"commit": None, "reason": "git is not installed"}
    assert dirty_patch(repository.folder) is None


@pytest.fixture
def with_submodule(repository, tmp_path):
    part = Repository(tmp_path / "part")
    part.commit(layer="h = 1\n")
    repository("submodule", "--quiet", "add", str(part.folder), "nets")
    repository.commit()
    return repository


def test_code_in_a_submodule_is_clean_and_comes_with_the_checkout(with_submodule, tmp_path):
    files = ["train.py", "nets/layer.py"]
    assert git_facts(with_submodule.folder, files)["dirty"] is False
    folder = again(with_submodule, tmp_path / "again", files)
    assert (folder / "nets" / "layer.py").read_text() == "h = 1\n"


def test_what_differs_inside_a_submodule_makes_the_tree_dirty_and_the_patch_lacks_it(with_submodule):
    with_submodule.write("nets/layer.py", "h = 2\n")
    with_submodule.write("nets/new.py", "i = 1\n")
    with_submodule.write("train.py", "a = 2\n")
    files = ["train.py", "nets/layer.py", "nets/new.py"]
    assert git_facts(with_submodule.folder, files)["dirty"] is True
    patch = dirty_patch(with_submodule.folder, files)
    assert b"+a = 2" in patch
    assert b"nets" not in patch


def test_a_commit_that_no_branch_has_any_more_is_checked_out_from_its_own_repository(repository, tmp_path):
    lost = repository.commit(train="a = 'lost'\n")
    repository("reset", "--quiet", "--hard", "HEAD~1")
    assert has_commit(repository.folder / "models", lost)
    check_out(str(repository.folder / "models"), lost, tmp_path / "again")
    assert (tmp_path / "again" / "train.py").read_text() == "a = 'lost'\n"
    assert (repository.folder / "train.py").read_text() == "a = 1\n"


def test_a_commit_is_fetched_by_address(repository, tmp_path):
    old = repository("rev-parse", "HEAD")
    repository.commit(train="a = 2\n")
    check_out(f"file://{repository.folder}", old, tmp_path / "again")
    assert (tmp_path / "again" / "train.py").read_text() == "a = 1\n"


def test_where_a_server_gives_no_single_commit_all_branches_are_fetched(repository, tmp_path, monkeypatch):
    old = repository("rev-parse", "HEAD")
    repository.commit(train="a = 2\n")
    # Protocol 0 is what old servers speak: they serve the tips of branches and nothing else.
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.version")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "0")
    check_out(f"file://{repository.folder}", old, tmp_path / "again")
    assert (tmp_path / "again" / "train.py").read_text() == "a = 1\n"
    with pytest.raises(SourceCodeError, match="is on no branch or tag of file://"):
        check_out(f"file://{repository.folder}", "0" * 40, tmp_path / "never")


def test_a_commit_that_is_not_there_is_told(repository, tmp_path):
    assert not has_commit(repository.folder, "0" * 40)
    assert not has_commit(tmp_path, "0" * 40)
    with pytest.raises(SourceCodeError):
        check_out(str(repository.folder), "0" * 40, tmp_path / "again")
    with pytest.raises(SourceCodeError, match="'--upload-pack=x' is no full name of a commit"):
        check_out(str(repository.folder), "--upload-pack=x", tmp_path / "again")


def test_an_address_that_does_not_answer_is_told_without_its_credentials(tmp_path):
    with pytest.raises(SourceCodeError) as caught:
        check_out("http://ci:secret@127.0.0.1:9/a.git", "0" * 40, tmp_path / "again")
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_hook_of_the_users_template_does_not_run_at_a_checkout(repository, tmp_path, monkeypatch):
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    check_out(str(repository.folder), repository("rev-parse", "HEAD"), tmp_path / "again")
    assert not (tmp_path / "ran").exists()


def test_a_patch_that_does_not_apply_is_told(repository, tmp_path):
    repository.write("train.py", "a = 2\n")
    patch = dirty_patch(repository.folder)
    folder = tmp_path / "again"
    check_out(str(repository.folder), repository("rev-parse", "HEAD"), folder)
    (folder / "train.py").write_text("entirely other\n")
    with pytest.raises(SourceCodeError, match="patch failed"):
        apply_patch(folder, patch)
