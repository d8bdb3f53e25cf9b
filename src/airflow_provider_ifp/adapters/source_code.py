"""The code that makes a model: which files an entrypoint consists of, and which commit they stand at.

Found by reading, never by importing: the task that asks need not be able to import torch. For
`package.module:function` the code is the package's source files; for a script it is the script and the local
modules that it imports.
"""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from airflow_provider_ifp.core.digest import digest_manifest
from airflow_provider_ifp.core.errors import EntrypointError


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCode:
    """An entrypoint's code.

    Attributes:
        entrypoint: As the policy names it.
        root: Folder that the files are named from.
        files: Path below `root` -> path here.
        digest: Over all files' paths and bytes.
        installed: The package lies in site-packages, where pip put it.
    """

    entrypoint: str
    root: Path
    files: dict[str, str]
    digest: str
    installed: bool = False


def read_source_code(entrypoint: str) -> SourceCode:
    """Find an entrypoint's files.

    Args:
        entrypoint: `package.module:function`, or the path of a script.

    Raises:
        EntrypointError: the script or the package is not there, or a file of it is no Python.
    """
    if is_script(entrypoint):
        script = Path(entrypoint).resolve()
        if not script.is_file():
            raise EntrypointError(
                f"train.entrypoint: there is no script {script}; mend the path in the policy"
            )
        root, paths, installed = script.parent, _local_modules(script), False
    else:
        root, paths = _package_files(entrypoint)
        installed = root in {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    files = {path.relative_to(root).as_posix(): str(path) for path in sorted(paths)}
    manifest = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in files.items()}
    return SourceCode(
        entrypoint=entrypoint, root=root, files=files, digest=digest_manifest(manifest), installed=installed
    )


def is_script(entrypoint: str) -> bool:
    """Whether it is a script's path rather than `package.module:function`.

    >>> is_script("training/flight_time.py"), is_script("my_pkg.training:train")
    (True, False)
    """
    return entrypoint.endswith(".py")


def git_facts(root: Path) -> dict[str, Any]:
    """Repository, commit and whether the tree was clean, or `{"commit": None}` outside of git."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None}
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "repository": _without_credentials(_git(root, "remote", "get-url", "origin")),
        "dirty": bool(changes),
    }


def dirty_patch(root: Path) -> bytes | None:
    """What differs from the commit, as a patch; None where nothing does."""
    return _git_output(root, "diff", "--binary", "HEAD") or None


def _git(root: Path, *words: str) -> str | None:
    output = _git_output(root, *words)
    return None if output is None else output.decode(errors="replace").strip()


def _git_output(root: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _without_credentials(url: str | None) -> str | None:
    """Drop `user:token@`, as CI systems write it into a remote's address.

    >>> _without_credentials("https://ci:secret@example.com/a.git")
    'https://example.com/a.git'
    """
    scheme, separator, rest = (url or "").partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else url


def _package_files(entrypoint: str) -> tuple[Path, set[Path]]:
    module, colon, function = entrypoint.partition(":")
    if not colon or not module or not function.isidentifier():
        raise EntrypointError(
            f"train.entrypoint: {entrypoint!r} is neither 'package.module:function' nor a script's "
            "path ending in .py"
        )
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise EntrypointError(
            f"train.entrypoint: module {top!r} of {entrypoint!r} is Python's own; name one of yours"
        )
    spec = PathFinder.find_spec(top)
    if spec is None:
        raise EntrypointError(
            f"train.entrypoint: no module {top!r} can be found for {entrypoint!r}; install it where the task "
            "runs, or name a script's path"
        )
    if spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations))).resolve()
        return folder.parent, set(folder.rglob("*.py"))
    if not spec.origin or not spec.origin.endswith(".py"):
        raise EntrypointError(f"train.entrypoint: module {top!r} of {entrypoint!r} has no Python source")
    file = Path(spec.origin).resolve()
    return file.parent, {file}


def _local_modules(script: Path) -> set[Path]:
    """The script, and whatever it imports, directly or not, from the folder that it lies in."""
    found, pending = {script}, [script]
    while pending:
        for name in _imported_names(pending.pop(), script.parent):
            parts = name.split(".")
            for depth in range(len(parts), 0, -1):
                path = script.parent.joinpath(*parts[:depth])
                for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                    if candidate.is_file() and candidate not in found:
                        found.add(candidate)
                        pending.append(candidate)
    return found


def _imported_names(file: Path, root: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except (SyntaxError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None) or 1
        raise EntrypointError(f"train.entrypoint: {file}:{line}: this is no valid Python: {error}") from error
    package = file.parent.relative_to(root).parts
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # `from . import a` is level 1, `from ..b import a` level 2, counted from the file's package.
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)}
    return names
