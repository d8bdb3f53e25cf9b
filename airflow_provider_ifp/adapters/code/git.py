"""Git, as a version's record and its reproduction need it: what stands here, what differs, a commit anew.

Reading leaves the user's repository as it is: no lock on its index, and no object in its store. What git
cannot say (no repository, no commit yet, owned by another user, not installed) is told with its reason,
and stops nothing.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import SourceCodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

log = logging.getLogger(__name__)

_FETCH_SECONDS = 900
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_OF_A_HOOK = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
)
"""Set where git itself started us, by a hook: they would send every question to that one repository."""


def git_facts(root: Path, files: Iterable[str] = ()) -> dict[str, Any]:
    """Where code stands in git.

    Args:
        root: A folder of the working tree.
        files: The code's files, named from `root`. One that git does not track, ignored ones included,
            makes the tree dirty: no commit has it.

    Returns:
        `commit`, `repository` (the address of `origin`, without credentials, or None), `dirty`, and `prefix`
        (`root` within the repository: "" at its top, else `such/as/this/`); or `commit` None with the
        `reason`.
    """
    try:
        prefix = _text(root, "rev-parse", "--show-prefix")
        commit = _text(root, "rev-parse", "--revs-only", "HEAD")
        if not commit:
            return {"commit": None, "reason": "the repository has no commit yet"}
        changed = _text(root, "status", "--porcelain", "--untracked-files=no")
        dirty = bool(changed or _untracked(root, files))
    except SourceCodeError as error:
        return {"commit": None, "reason": str(error)}
    return {"commit": commit, "repository": _origin(root), "dirty": dirty, "prefix": prefix}


def dirty_patch(root: Path, files: Iterable[str] = ()) -> bytes | None:
    """What differs from the commit, as a patch that `git apply` takes in a checkout of it; None: nothing.

    Args:
        root: A folder of the working tree.
        files: As in `git_facts`: those that git does not track are in the patch too.

    The changes of all tracked files are in it, not only those below `root`; what differs inside a submodule
    is not.
    """
    try:
        top = Path(_text(root, "rev-parse", "--show-toplevel"))
        index = root / _text(root, "rev-parse", "--git-path", "index")
        objects = (root / _text(root, "rev-parse", "--git-path", "objects")).resolve()
        with tempfile.TemporaryDirectory(prefix="ifp-git-") as scratch:
            mine = Path(scratch, "index")
            if index.exists():
                # With its time: what was changed within a tick of it is looked into, not only at.
                shutil.copy2(index, mine)
            Path(scratch, "objects").mkdir()
            apart = {
                "GIT_INDEX_FILE": str(mine),
                "GIT_OBJECT_DIRECTORY": str(Path(scratch, "objects")),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects),
            }
            _git(top, "add", "--update", "--", ".", env=apart)
            if new := _untracked(root, files):
                _add(root, new, apart)
            # The plumbing command: no setting of the user's (prefixes, colours, other tools) changes it.
            words = ("--cached", "--binary", "--full-index", "--no-ext-diff", "--ignore-submodules=all")
            return _git(top, "diff-index", "-p", *words, "HEAD", env=apart) or None
    except SourceCodeError as error:
        log.warning("%s: no patch of what differs from the commit: %s", root, error)
        return None


def has_commit(repository: Path, commit: str) -> bool:
    """Whether the repository that this folder lies in holds the commit."""
    try:
        _git(repository, "cat-file", "-e", f"{_hexadecimal(commit)}^{{commit}}")
    except SourceCodeError:
        return False
    return True


def check_out(repository: str, commit: str, folder: Path) -> None:
    """Check a commit out into a folder of its own, submodules included; nobody's working tree changes.

    Args:
        repository: A folder within a repository, whose objects are then shared and not copied; or an address
            that git knows.
        commit: The full name.
        folder: Where to; must not exist.

    Raises:
        SourceCodeError: the repository does not answer, or does not have the commit; nothing is left.
    """
    try:
        _check_out(repository, _hexadecimal(commit), folder)
    except SourceCodeError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _check_out(repository: str, commit: str, folder: Path) -> None:
    if Path(repository).is_dir():
        _git(None, "clone", "--quiet", "--no-checkout", "--shared", "--", _top(Path(repository)), str(folder))
    else:
        _git(None, "init", "--quiet", "--", str(folder))
        _fetch(repository, commit, folder)
    quiet = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
    _git(folder, *quiet, "checkout", "--quiet", "--detach", commit, "--")
    if (folder / ".gitmodules").exists():
        try:
            _git(folder, *quiet, "submodule", "--quiet", "update", "--init", "--recursive")
        except SourceCodeError as error:  # whether any of the code lies there, its digest will tell
            log.warning("submodules of %s at %s: %s", repository, commit, error)


def apply_patch(folder: Path, patch: bytes) -> None:
    """Apply what `dirty_patch` gave to a checkout of its commit.

    Raises:
        SourceCodeError: it does not apply.
    """
    _git(folder, "apply", "--whitespace=nowarn", "-", stdin=patch)


def without_credentials(url: str | None) -> str | None:
    """Drop `user:token@`, as CI systems write it into a remote's address.

    >>> without_credentials("https://ci:secret@example.com/a.git")
    'https://example.com/a.git'
    """
    scheme, separator, rest = (url or "").partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _untracked(root: Path, files: Iterable[str]) -> list[str]:
    wanted = sorted(files)
    if not wanted:
        return []
    tracked = set(os.fsdecode(_git(root, "ls-files", "-z", "--recurse-submodules")).split("\0"))
    return [name for name in wanted if name not in tracked]


def _add(root: Path, files: list[str], apart: Mapping[str, str]) -> None:
    """Add to the index of our own; names on standard input, since a command line has an end."""
    names = b"\0".join(map(os.fsencode, files))
    words = ("--force", "--pathspec-from-file=-", "--pathspec-file-nul")
    try:
        _git(root, "add", *words, stdin=names, env={**apart, "GIT_LITERAL_PATHSPECS": "1"})
    except SourceCodeError as error:
        log.warning("%s: the patch lacks files that git does not track: %s", root, error)


def _fetch(repository: str, commit: str, folder: Path) -> None:
    """The one commit, as most servers allow; else all branches and tags, and it may be among them."""
    try:
        _git(folder, "fetch", "--quiet", "--depth=1", "--", repository, commit, timeout=_FETCH_SECONDS)
    except SourceCodeError:
        wanted = ("+refs/heads/*:refs/ifp/heads/*", "+refs/tags/*:refs/ifp/tags/*")
        _git(folder, "fetch", "--quiet", "--", repository, *wanted, timeout=_FETCH_SECONDS)
        if not has_commit(folder, commit):
            raise SourceCodeError(
                f"commit {commit} is on no branch or tag of {without_credentials(repository)}"
            ) from None


def _top(folder: Path) -> str:
    if _text(folder, "rev-parse", "--is-bare-repository") == "true":
        return str(folder.resolve())
    return _text(folder, "rev-parse", "--show-toplevel")


def _origin(root: Path) -> str | None:
    try:
        return without_credentials(_text(root, "remote", "get-url", "origin"))
    except SourceCodeError:
        return None


def _hexadecimal(commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise SourceCodeError(f"{commit!r} is no full name of a commit")
    return commit


def _text(root: Path, *words: str) -> str:
    return os.fsdecode(_git(root, *words)).rstrip("\n")


def _git(
    root: Path | None,
    *words: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> bytes:
    """Run git; returns what it printed.

    Raises:
        SourceCodeError: it failed, in its own words, or is not installed.
    """
    ours = {key: value for key, value in os.environ.items() if key not in _OF_A_HOOK}
    # No question is asked that nobody would answer, no lock is taken to look, and messages are in English.
    ours |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    ours.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    place = [] if root is None else ["-C", str(root)]
    try:
        done = subprocess.run(
            ["git", *place, *words],
            input=stdin,
            env={**ours, **(env or {})},
            capture_output=True,
            check=False,
            timeout=timeout,
        )
    except FileNotFoundError:
        raise SourceCodeError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceCodeError(f"git {words[0]} did not end within {timeout:.0f} s") from None
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip().splitlines() or [f"git {words[0]} failed"]
        raise SourceCodeError(_without_urls_user(told[0].removeprefix("fatal: ")))
    return done.stdout


def _without_urls_user(message: str) -> str:
    return re.sub(r"://[^/\s'@]*@", "://", message)
