"""The code that makes a model: which files an entrypoint consists of.

Found by reading, never by importing: the task that asks need not be able to import torch. For
`package.module:function` the code is the package's source files; for a script it is the script and the local
modules that it imports.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_ifp.core.digest import digest_manifest
from airflow_provider_ifp.core.errors import EntrypointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def read_source_code(entrypoint: str, path: Sequence[str] | None = None) -> SourceCode:
    """Find an entrypoint's files.

    Args:
        entrypoint: `package.module:function`, or the path of a script.
        path: Folders that a package is looked for in; None: where this process would import it from.

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
        root, paths = _package_files(entrypoint, path)
        installed = root in {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    files = {path.relative_to(root).as_posix(): str(path) for path in sorted(paths)}
    return SourceCode(
        entrypoint=entrypoint, root=root, files=files, digest=_digest(files), installed=installed
    )


def copy_source_code(source: SourceCode, folder: Path) -> dict[str, str]:
    """Copy the files as they were when they were digested: somebody may edit them while a training runs.

    Returns:
        Path below `root` -> path of the copy.

    Raises:
        EntrypointError: a file was changed or removed meanwhile.
    """
    copies: dict[str, str] = {}
    for name, path in source.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(Path(path).read_bytes())
        except FileNotFoundError:
            raise EntrypointError(f"train.entrypoint: {path} was removed just now; run it again") from None
        copies[name] = str(target)
    if _digest(copies) != source.digest:
        raise EntrypointError(
            f"train.entrypoint: the code of {source.entrypoint} was changed just now; run it again"
        )
    return copies


def _digest(files: Mapping[str, str]) -> str:
    return digest_manifest(
        {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in files.items()}
    )


def is_script(entrypoint: str) -> bool:
    """Whether it is a script's path rather than `package.module:function`.

    >>> is_script("training/flight_time.py"), is_script("my_pkg.training:train")
    (True, False)
    """
    return entrypoint.endswith(".py")


def _package_files(entrypoint: str, path: Sequence[str] | None) -> tuple[Path, set[Path]]:
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
    spec = PathFinder.find_spec(top, path)
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
