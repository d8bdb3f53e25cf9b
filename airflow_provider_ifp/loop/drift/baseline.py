"""A reference that a person set: it goes before what production was trained on, as long as it stands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ifp.core.digest import digest_bytes
from airflow_provider_ifp.core.errors import (
    DatasetError,
    DigestMismatchError,
    LedgerConflictError,
    RegistryError,
)
from airflow_provider_ifp.core.profile.record import Profile

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.registry.protocol import Registry

BASELINE: Final = "baseline"
"""The model's journal of baselines: number -> what was set, or that nothing is."""
FILE: Final = "ifp/baseline.json"
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Baseline:
    """A reference set by hand.

    Attributes:
        profile: What windows are held against.
        label: What the person called it, for instance `2025-Q4-training`.
        frozen: It stays whatever `monitor.baseline_window` says; else a rolling window may take over.
        digest: Of the profile's file.
    """

    profile: Profile
    label: str
    frozen: bool
    digest: str


def set_baseline(registry: Registry, model: str, profile: Profile, *, label: str, freeze: bool) -> Baseline:
    """Make a profile the model's reference: the file first, then the entry that names it.

    Raises:
        DatasetError: it has no label; an entry without one says that nothing stands.
        RegistryError: the registry says no.
    """
    if not label:
        raise DatasetError(f"{model}: window_label: expected what to call the baseline, found {label!r}")
    content = json.dumps(profile.to_json(), separators=(",", ":")).encode()
    digest = digest_bytes(content)
    run_id = registry.start_run(model, name=f"baseline {label}", tags={"ifp.model": model})
    registry.put_file(run_id, FILE, content)
    registry.finish_run(run_id, "FINISHED")
    _append(registry, model, {"label": label, "freeze": freeze, "digest": digest, "run_id": run_id})
    return Baseline(profile, label, freeze, digest)


def clear_baseline(registry: Registry, model: str) -> None:
    """Go back to what production was trained on; what was set stays on record."""
    if registry.entries(model, BASELINE):
        _append(registry, model, {"label": None})


def read_baseline(registry: Registry, model: str) -> Baseline | None:
    """The baseline that stands; None where none was set, or the last was cleared.

    Raises:
        RegistryError: its file is gone.
        DigestMismatchError: its file is not the one that was written.
        DatasetError: it has another format.
    """
    entries = registry.entries(model, BASELINE)
    if not entries:
        return None
    entry = json.loads(entries[max(entries)])
    if entry["label"] is None:
        return None
    where = f"{FILE} of run {entry['run_id']}"
    content = registry.get_file(entry["run_id"], FILE)
    if content is None:
        raise RegistryError(
            f"{model}: {where}, the baseline {entry['label']!r}, is gone; set it again, or clear it: "
            f"ifp.monitor({model!r}).clear_baseline()"
        )
    if digest_bytes(content) != entry["digest"]:
        raise DigestMismatchError(
            f"{model}: {where}, the baseline {entry['label']!r}, is not what was written "
            f"({digest_bytes(content)}, expected {entry['digest']}); set it again"
        )
    profile = Profile.from_json(json.loads(content), where=where)
    return Baseline(profile, entry["label"], entry["freeze"], entry["digest"])


def _append(registry: Registry, model: str, entry: dict[str, Any]) -> None:
    """Write the next entry; whoever came first at the same moment stays before it."""
    entry = {**entry, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    for _ in range(_TRIES):
        number = len(registry.entries(model, BASELINE)) + 1
        try:
            registry.put_entry(model, BASELINE, f"{number:06d}", json.dumps(entry))
        except LedgerConflictError:
            continue
        return
    raise LedgerConflictError(f"{model}: {_TRIES} other writers came first; try again when they are done")
