"""The versions that were fetched: so that a restart works while the registry is away.

    <folder>/<registry>/<model>/<version>/   model/, profile.json, version.json
    <folder>/<registry>/<model>/good.json    stage -> the version that last answered there

Several servers of one model may share it: a version appears whole, by a rename. What is pickled in there
will be opened, so nobody else may write to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.serving.messages import Found

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABANDONED_SECONDS = 86_400.0
_KEPT = 3
"""Versions that stay; a replica that is a step behind may still need the one before."""

_OTHERS_MAY_WRITE = 0o022


class VersionCache:
    """The fetched versions of one model.

    Args:
        folder: Of all models' caches; made if need be.
        registry: The registry's address without credentials.
        model: The registered model.

    Raises:
        ModelError: the folder cannot be made, or somebody else owns it, or may write to it.
    """

    def __init__(self, folder: Path, registry: str, model: str) -> None:
        self._root = folder / hashlib.sha256(registry.encode()).hexdigest()[:12] / model
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ModelError(
                f"{self._root} cannot be made: {error.strerror}; choose another --cache"
            ) from None
        for path in (folder, self._root):
            found = path.stat()
            if found.st_uid != os.getuid() or found.st_mode & _OTHERS_MAY_WRITE:
                raise ModelError(
                    f"{path}: others may write there, and what lies there is opened; choose another --cache, "
                    f"or chown and chmod go-w it"
                )

    def find(self, stage: str, version: str) -> Found | None:
        """A version that was fetched before, to be opened for a stage."""
        folder = self._root / version
        facts = _read(folder / "version.json")
        if not facts:
            return None
        os.utime(folder)
        profile = folder / "profile.json"
        return Found(
            stage,
            version,
            str(folder / "model"),
            facts["files_digest"],
            str(profile) if profile.exists() else "",
        )

    @contextmanager
    def adding(self, version: str, files_digest: str) -> Iterator[Path]:
        """A folder for a version's files, which counts when the block has ended well.

        Yields:
            Where to put `model/`, and `profile.json` if there is one.
        """
        scratch = Path(tempfile.mkdtemp(prefix=".fetching-", dir=self._root))
        try:
            yield scratch
            (scratch / "version.json").write_text(
                json.dumps({"files_digest": files_digest}), encoding="utf-8"
            )
            self._show(scratch, self._root / version)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._prune()

    def _show(self, scratch: Path, target: Path) -> None:
        try:
            scratch.rename(target)
        except OSError:
            if _read(target / "version.json"):
                return  # a server beside us fetched it meanwhile, and may be opening it
            shutil.rmtree(target)  # what a kill left of a folder that was being deleted
            scratch.rename(target)

    def discard(self, version: str) -> None:
        """Forget a version whose files are not what they must be; the follower fetches it again."""
        shutil.rmtree(self._root / version, ignore_errors=True)

    def mark_good(self, stage: str, version: str) -> None:
        """Remember that this version answers at that stage now."""
        path = self._root / "good.json"
        with tempfile.NamedTemporaryFile("w", dir=self._root, delete=False, encoding="utf-8") as file:
            json.dump({**_read(path), stage: version}, file)
        Path(file.name).rename(path)

    def last_good(self, stage: str) -> Found | None:
        """The version that last answered at that stage, if it is still here."""
        version = _read(self._root / "good.json").get(stage)
        return None if version is None else self.find(stage, version)

    def _prune(self) -> None:
        latest = time.time() - _ABANDONED_SECONDS
        for left in self._root.glob(".fetching-*"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < latest:  # whoever fetched it was killed
                    shutil.rmtree(left, ignore_errors=True)
        good = set(_read(self._root / "good.json").values())
        folders = [path for path in self._root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        folders.sort(key=lambda path: path.stat().st_mtime)
        for folder in folders[:-_KEPT]:
            if folder.name not in good:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
