"""The build key: a digest of all that determines a training's result; and what changed between two builds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.digest import digest_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FORMAT = "ifp.build-key/1"
UNRECORDED = "unrecorded"
_SHOWN = 5
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What determines a training's result.

    Attributes:
        code: Digest of the entrypoint's source files, or None where they were not seen.
        entrypoint: As the policy names it.
        data_digest: Of the training window's rows (or of their files' manifest), or None.
        label: The label's column.
        positive: The positive class, or None for the contract's default.
        features: The columns that the model sees, in order.
        categorical: Those of them that are categories.
        params: Parameters of the training function.
        seed: Of everything random.
        environment: Digest of interpreter and distributions, or None.
        device: `cpu`, or the kind of GPU.
        launcher: How the trainer's processes are started.
        processes: How many.
    """

    code: str | None
    entrypoint: str | None
    data_digest: str | None
    label: str | None
    positive: Any
    features: list[str]
    categorical: list[str]
    params: dict[str, Any]
    seed: int
    environment: str | None
    device: str
    launcher: str
    processes: int

    @property
    def key(self) -> str:
        """The build key; `unrecorded` where a part of it is not known, and such a build is never reused."""
        if None in (self.code, self.data_digest, self.environment):
            return UNRECORDED
        return digest_json({"format": FORMAT, **asdict(self)})

    def to_json(self) -> dict[str, Any]:
        """The stored form, which `differences` compares."""
        return asdict(self)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What of a build changed, in words.

    Args:
        before: A version's provenance: `build`, and where known `data` and `environment.distributions`.
        after: The same of the build at hand.

    >>> old = {"build": {"seed": 7, "params": {"epochs": 5}}}
    >>> differences(old, {"build": {"seed": 7, "params": {"epochs": 6, "depth": 2}}})
    ['params.depth differs: none -> 2', 'params.epochs differs: 5 -> 6']
    """
    old, new = dict(before.get("build") or {}), dict(after.get("build") or {})
    found: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        if name == "params":
            found += (f"params.{change}" for change in _changes(was or {}, now or {}))
        elif name == "data_digest":
            found.append(f"data_digest differs: {_rows(before)} -> {_rows(after)}")
        elif name == "environment":
            found.append(f"environment differs{_packages(before, after)}")
        elif name == "code":
            found.append("code differs: other source files than before")
        else:
            found.append(f"{name} differs: {was} -> {now}")
    return found


def changed_packages(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Each distribution that came, went or has another version.

    >>> changed_packages({"numpy": "2.1", "six": "1"}, {"numpy": "2.2", "torch": "2.13"})
    ['numpy 2.1 -> 2.2', 'six 1 -> none', 'torch none -> 2.13']
    """
    return [change.replace(" differs:", "", 1) for change in _changes(before, after)]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, _MISSING), after.get(name, _MISSING)
        if was != now:
            yield f"{name} differs: {_shown(was)} -> {_shown(now)}"


def _shown(value: object) -> str:
    return "none" if value is _MISSING else str(value)


def _rows(record: Mapping[str, Any]) -> str:
    data = record.get("data") or []
    rows = data[0].get("rows") if data else None
    return "unknown rows" if rows is None else f"{rows:,} rows"


def _packages(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    was, now = ((record.get("environment") or {}).get("distributions") for record in (before, after))
    if was is None or now is None:
        return ""
    changed = changed_packages(was, now)
    if not changed:
        return ": another interpreter"
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return f": {', '.join(changed[:_SHOWN])}{more}"
