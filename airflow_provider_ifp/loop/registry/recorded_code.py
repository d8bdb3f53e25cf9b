"""A version's code as it was: checked out of git with its patch, or from where else it may lie.

It is held against the digest on record before anything of it runs; what is gone is a `ReproductionError`
that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.code.entrypoint import is_script, read_source_code
from airflow_provider_ifp.adapters.code.git import apply_patch, check_out, has_commit
from airflow_provider_ifp.core.digest import digest_bytes
from airflow_provider_ifp.core.errors import (
    DigestMismatchError,
    EntrypointError,
    ReproductionError,
    SourceCodeError,
)
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.provenance import PATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_ifp.adapters.code.entrypoint import SourceCode
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry

_SHORT = 12  # hex digits of a commit's name that people read


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCode:
    """An entrypoint's code, the very bytes that trained.

    Attributes:
        source: Its files, where they are now.
        path: Folders in which its modules are to be looked for before all others.
        origin: Where it was found, in words.
    """

    source: SourceCode
    path: list[str]
    origin: str


def find_code(
    registry: Registry,
    version: ModelVersion,
    code: Mapping[str, Any],
    folder: Path,
    *,
    repository: str | None = None,
) -> FoundCode:
    """The entrypoint's code as it was.

    Args:
        registry: Holds the patch of what was not committed, and the version's own files.
        version: The version.
        code: `code` of its provenance.
        folder: Where to check it out; must not exist.
        repository: Where the commit is, a folder or an address; None: this working tree, else the recorded
            address.

    Raises:
        DigestMismatchError: the patch is another than was recorded; or the code lies in no repository, and
            the version's files are not those registered.
        ReproductionError: it is gone, or not what it was.
    """
    if code.get("installed"):
        return _installed_code(code)
    if code.get("commit"):
        root = _check_out(code, folder, repository) / code["prefix"]
        patch = _patch(registry, version, code)
        if patch:
            _apply(folder, patch)
        origin = f"commit {code['commit'][:_SHORT]}{' and ifp/dirty.patch' if patch else ''}"
    else:
        fetch(registry, version, folder)
        root = folder / "code"
        origin = (
            f"the version's own code/, since it lay in no commit ({code.get('reason') or 'no repository'})"
        )
    return _read_there(code, root, origin)


def _installed_code(code: Mapping[str, Any]) -> FoundCode:
    entrypoint = code["entrypoint"]
    try:
        source = read_source_code(entrypoint)
    except EntrypointError as error:
        raise ReproductionError(f"the code is gone: {error}") from error
    _require_same(code, source, "the package installed here")
    return FoundCode(source=source, path=[], origin=f"the installed package {entrypoint.partition('.')[0]}")


def _read_there(code: Mapping[str, Any], root: Path, origin: str) -> FoundCode:
    entrypoint = code["entrypoint"]
    path = [] if is_script(entrypoint) else [str(root)]
    named = str(root / Path(entrypoint).name) if is_script(entrypoint) else entrypoint
    try:
        source = read_source_code(named, path or None)
    except EntrypointError as error:
        raise ReproductionError(f"the code is not in {origin}: {error}") from error
    _require_same(code, source, origin)
    return FoundCode(source=source, path=path, origin=origin)


def _require_same(code: Mapping[str, Any], source: SourceCode, origin: str) -> None:
    if source.digest != code["source_digest"]:
        lost, added = set(code["files"]) - set(source.files), set(source.files) - set(code["files"])
        named = [*(f"without {name}" for name in sorted(lost)), *(f"with {name}" for name in sorted(added))]
        raise ReproductionError(
            f"the code in {origin} is not the code that trained: digest {code['source_digest']} -> "
            f"{source.digest}{f' ({named[0]})' if named else ''}"
        )


def _check_out(code: Mapping[str, Any], folder: Path, repository: str | None) -> Path:
    commit, failures = code["commit"], []
    for place in _places(code, repository):
        try:
            check_out(place, commit, folder)
        except SourceCodeError as error:
            failures.append(f"{place}: {error}")
        else:
            return folder
    tried = "; ".join(failures) or "no repository here has it, and no address of one is on record"
    raise ReproductionError(f"commit {commit} is gone: {tried}; name a repository that has it")


def _places(code: Mapping[str, Any], repository: str | None) -> Iterator[str]:
    """Where the commit may be: where the caller says; else the tree at hand, then where it came from."""
    if repository is not None:
        yield repository
        return
    here = [Path.cwd(), *_present_root(code["entrypoint"])]
    yield from list(dict.fromkeys(str(root) for root in here if has_commit(root, code["commit"])))[:1]
    if code.get("repository"):
        yield code["repository"]


def _present_root(entrypoint: str) -> list[Path]:
    """The folder that the entrypoint's code lies in today, if it does."""
    try:
        return [read_source_code(entrypoint).root]
    except EntrypointError:
        return []


def _patch(registry: Registry, version: ModelVersion, code: Mapping[str, Any]) -> bytes | None:
    patch = registry.get_file(version.run_id, PATCH)
    found = None if patch is None else digest_bytes(patch)
    if found == code.get("patch_digest"):
        return patch
    if found is None:
        raise ReproductionError(f"{PATCH} of run {version.run_id} is gone, and the tree was not clean")
    raise DigestMismatchError(
        f"{version.model} version {version.version}: {PATCH} is not the one that was recorded (expected "
        f"{code.get('patch_digest')}, found {found}); look who may write to run {version.run_id}"
    )


def _apply(folder: Path, patch: bytes) -> None:
    try:
        apply_patch(folder, patch)
    except SourceCodeError as error:
        raise ReproductionError(f"{PATCH} does not apply to its commit: {error}") from error
