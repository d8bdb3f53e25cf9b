"""Train a version again from what is on record about it, and say how near the result comes."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.adapters.code.environment import device_class, read_environment, read_hardware
from airflow_provider_ifp.adapters.data.fingerprint import folder_manifest
from airflow_provider_ifp.adapters.registry.ledger import resolve
from airflow_provider_ifp.core.errors import DatasetError, RegistryError, ReproductionError, TrainingError
from airflow_provider_ifp.core.registry.reproduction import (
    MAX_CHANGED,
    TOLERANCE,
    compare,
    environment_warnings,
    hardware_of,
    machine_warnings,
)
from airflow_provider_ifp.loop.gates.judging import to_answers
from airflow_provider_ifp.loop.registry.recorded import (
    changed_types,
    find_rows,
    read_provenance,
    read_rows,
    require_enough,
    to_window,
)
from airflow_provider_ifp.loop.registry.recorded_code import find_code
from airflow_provider_ifp.loop.train.launch import launch
from airflow_provider_ifp.loop.train.prepare import write_rows
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.registration import content_digest
from airflow_provider_ifp.training.scorer import score
from airflow_provider_ifp.training.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from airflow_provider_ifp.adapters.launch.protocol import Launcher
    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.loop.registry.recorded_code import FoundCode
    from airflow_provider_ifp.training.spec import Result

log = logging.getLogger(__name__)

REPRODUCTION = "ifp/reproduction.json"
TAG = "ifp.reproduced"
_STAMPED = ("answer", "found_digest", "largest_difference", "labels_changed", "rows", "compared_on", "time")
_REASON = 1000  # characters of a reason that the tag holds
_NAMED = 20  # files that differ, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How to reproduce.

    Attributes:
        repository: Where the commit is, a folder or an address; None: this working tree, else the recorded
            address.
        tolerance: Largest difference of scores (of a regression's predictions, in their own unit) that counts
            as the same model.
        max_changed: Largest share of changed labels that does.
        keep: A new folder where checkout, rows, trained model and both models' answers stay; None: nothing
            stays.
        scratch: Where a folder of our own is made otherwise; None: the system's place for such.
        connect: Gives the engine of data by conn_id; None: by the environment.
    """

    repository: str | None = None
    tolerance: float = TOLERANCE
    max_changed: float = MAX_CHANGED
    keep: Path | None = None
    scratch: Path | None = None
    connect: Connect | None = None


def reproduce(
    registry: Registry, model: str, version: str, *, launcher: Launcher, wish: Wish | None = None
) -> dict[str, Any]:
    """Train a version again, compare, and stamp the answer on the version.

    Args:
        registry: Where the version is; nothing but the stamp is written there.
        model: The registered model.
        version: Its number, or `@production`, `@shadow`, `@staging`.
        launcher: Runs the trainer.
        wish: Where to find code, what counts as the same, what to keep.

    Returns:
        `answer`: `bitwise` (the same content digest), `numeric` (answers within the tolerances), `different`,
        or `impossible`; `reason`; model, version, content_digest, found_digest, largest_difference,
        labels_changed, spread, rows, compared_on (`holdout` or `training`), files_changed, code, warnings,
        seconds, time. What was not come to is None. The tag `ifp.reproduced` holds its main parts, the run's
        `ifp/reproduction.json` all.

    Raises:
        VersionNotFoundError: no such version.
        DigestMismatchError: the version's record or files are not those that were registered.
        ReproductionError: the folder to keep is there already.
    """
    wish = wish or Wish()
    found = resolve(registry, model, version)
    answer: dict[str, Any] = {
        "answer": "impossible",
        "reason": "",
        "model": found.model,
        "version": found.version,
        "content_digest": found.content_digest,
        "found_digest": None,
        "largest_difference": None,
        "labels_changed": None,
        "spread": None,
        "rows": None,
        "compared_on": None,
        "files_changed": [],
        "code": None,
        "warnings": [],
    }
    started = time.monotonic()
    with _workplace(wish) as folder:
        try:
            _Attempt(registry, found, launcher, wish, folder).make(answer)
        except ReproductionError as error:
            answer["reason"] = str(error)
        except TrainingError as error:
            answer["reason"] = f"training it again failed: {error}"
    answer["seconds"] = round(time.monotonic() - started, 3)
    answer["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    log.info("%s version %s: %s: %s", found.model, found.version, answer["answer"], answer["reason"])
    _stamp(registry, found, answer)
    return answer


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One version's way from its record to an answer, in a folder of its own."""

    registry: Registry
    version: ModelVersion
    launcher: Launcher
    wish: Wish
    folder: Path

    def make(self, answer: dict[str, Any]) -> None:
        """Fill the answer in, as far as we come."""
        version, warnings = self.version, answer["warnings"]
        facts = read_provenance(self.registry, version)
        require_enough(facts)
        data = facts["data"][0]
        warnings += _present_warnings(facts)
        code = find_code(
            self.registry, version, facts["code"], self.folder / "code", repository=self.wish.repository
        )
        answer["code"] = code.origin
        rows = find_rows(data, self.wish.connect)
        warnings += changed_types(data, rows)
        result = self._train(facts, code, rows)
        warnings += machine_warnings(facts.get("determinism") or {}, result.determinism)
        trained = Path(result.model_folder)
        answer["found_digest"] = content_digest(trained)
        if answer["found_digest"] == version.content_digest:
            answer |= {"answer": "bitwise", "reason": "every file of the model is the same, bit by bit"}
            return
        fetch(self.registry, version, self.folder / "version")
        answer["files_changed"] = _changed_files(self.folder / "version", trained)
        answer |= self._compare(facts, trained, rows)

    def _train(self, facts: Mapping[str, Any], code: FoundCode, rows: pa.Table) -> Result:
        order, data, source, work = facts["train"], facts["data"][0], code.source, self.folder / "work"
        checkpoints = work / "checkpoints"
        checkpoints.mkdir(parents=True)
        spec = Spec(
            model=self.version.model,
            entrypoint=source.entrypoint,
            params=order["params"],
            seed=facts["seed"],
            data=str(write_rows(rows, work)),
            label=data["label"],
            positive=data["positive"],
            features=data["features"],
            code={} if source.installed else source.files,
            path=code.path,
            checkpoints=str(checkpoints),
            output=str(work),
        )
        seconds = order.get("timeout_seconds")
        return launch(self.launcher, spec, timeout=timedelta(seconds=seconds) if seconds else None)

    def _compare(self, facts: Mapping[str, Any], trained: Path, rows: pa.Table) -> dict[str, Any]:
        """Both models' answers to the same rows: the holdout of then, or where it is gone what trained."""
        data, compared_on, note = facts["data"][0], "holdout", ""
        try:
            table = read_rows(data, to_window(facts["holdout"]["window"]), self.wish.connect)
        except (DatasetError, KeyError) as error:
            table, compared_on = rows, "training"
            note = f"; the holdout cannot be read any more ({error})"
        folders = [self.folder / "version", trained]
        scored = score(folders, table.select(data["features"]), self.folder)
        answers = (one.require(folder.name) for one, folder in zip(scored, folders, strict=True))
        comparison = compare(*map(to_answers, answers))
        answer, reason = comparison.decide(self.wish.tolerance, self.wish.max_changed)
        return {
            "answer": answer,
            "reason": f"{compared_on}, {reason}{note}",
            "largest_difference": comparison.largest_difference,
            "labels_changed": comparison.labels_changed,
            "spread": comparison.spread,
            "rows": comparison.rows,
            "compared_on": compared_on,
        }


def _present_warnings(facts: Mapping[str, Any]) -> list[str]:
    """What is another here and now than where the version was trained."""
    return [
        *environment_warnings(facts.get("environment") or {}, read_environment()),
        *machine_warnings(hardware_of(facts.get("hardware") or {}), read_hardware()),
        *machine_warnings({"device": (facts.get("build") or {}).get("device")}, {"device": device_class()}),
    ]


def _changed_files(before: Path, after: Path) -> list[str]:
    """The files that differ, by name; `MLmodel` names its run, and so differs always."""
    old, new = folder_manifest(before), folder_manifest(after)
    changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    return [name for name in changed if name != "MLmodel"][:_NAMED]


def _stamp(registry: Registry, version: ModelVersion, answer: Mapping[str, Any]) -> None:
    try:
        if version.run_id:
            registry.put_file(version.run_id, REPRODUCTION, json.dumps(answer, indent=1).encode())
    except RegistryError as error:  # a run that somebody deleted takes no file any more
        log.warning("run %s takes no %s: %s", version.run_id, REPRODUCTION, error)
    short = {name: answer[name] for name in _STAMPED} | {"reason": answer["reason"][:_REASON]}
    registry.tag_version(version, TAG, json.dumps(short, sort_keys=True))


@contextmanager
def _workplace(wish: Wish) -> Iterator[Path]:
    """A folder of our own, which does not outlive the block unless it is to be kept."""
    if wish.keep is not None:
        if wish.keep.exists():
            raise ReproductionError(f"{wish.keep} is there already; name a folder that is not")
        wish.keep.mkdir(parents=True)
        yield wish.keep.resolve()
        return
    if wish.scratch is not None:
        wish.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ifp-reproduce-", dir=wish.scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
