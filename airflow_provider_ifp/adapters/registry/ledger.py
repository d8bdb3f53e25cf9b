"""The promotion ledger: decide in `core.registry`, write the event once, project it on to the aliases.

Writing the event is the commit. A crash after it leaves stale aliases, which the next look repairs; a crash
before it leaves nothing. Two writers at once: one gets the event number, the other looks and decides again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.registry.protocol import PROMOTION
from airflow_provider_ifp.core.errors import LedgerConflictError, VersionNotFoundError
from airflow_provider_ifp.core.registry.chain import event_key, event_text, read_chain
from airflow_provider_ifp.core.registry.lifecycle import STAGES, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_ifp.adapters.registry.protocol import ModelVersion, Registry
    from airflow_provider_ifp.core.registry.lifecycle import Event, Stage

log = logging.getLogger(__name__)

_TRIES = 20
"""Writers that may pass us before we give up: each conflict means that another event was written."""


def read_ledger(registry: Registry, model: str) -> Ledger:
    """The model's ledger as it is now, its chain verified."""
    ledger = read_chain(model, registry.entries(model, PROMOTION))
    if ledger.voids:
        log.warning(
            "%s: entries %s of its ledger are no events and are passed over; see `ifp audit %s`",
            model, list(ledger.voids), model,
        )  # fmt: skip
    return ledger


def append(registry: Registry, model: str, event: Event) -> None:
    """Write the event under its number, once; the same event again is no error.

    Raises:
        LedgerConflictError: another event has that number.
    """
    registry.put_entry(model, PROMOTION, event_key(event.number), event_text(event))


def record(
    registry: Registry, model: str, plan: Callable[[Ledger], Event], *, ledger: Ledger | None = None
) -> Event:
    """Decide on the newest ledger and write the answer; again if another writer came first.

    Args:
        registry: Where the ledger is.
        model: Name of the registered model.
        plan: The decision; it sees the ledger and returns the next event, or one that is there already (the
            retry of an attempt that got through), or raises `PromotionRefusedError`.
        ledger: As it was read a moment ago, to save reading it again: should it have grown since, the event's
            number is taken, and `plan` is asked again on the newest.

    Returns:
        The event as it stands in the ledger.

    Raises:
        PromotionRefusedError: `plan` refused.
        LedgerConflictError: other writers came first too many times.
    """
    for _ in range(_TRIES):
        ledger = ledger or read_ledger(registry, model)
        event = plan(ledger)
        if event in ledger.events:
            project(registry, model)
            return event
        try:
            append(registry, model, event)
        except LedgerConflictError:
            ledger = None
            continue
        project(registry, model, Ledger(model, (*ledger.events, event), ledger.voids))
        return event
    raise LedgerConflictError(f"{model}: {_TRIES} other writers came first; try again when they are done")


def project(registry: Registry, model: str, ledger: Ledger | None = None) -> Ledger:
    """Make the aliases say what the ledger says; an alias that says otherwise is named in the log.

    Args:
        registry: Where the ledger is.
        model: Name of the registered model.
        ledger: As the caller knows it; None: it is read.

    Returns:
        The ledger that the aliases follow now.
    """
    ledger = ledger or read_ledger(registry, model)
    while ledger.events:
        held = registry.aliases(model)
        if held == ledger.stages:
            break
        if not _is_left_behind(ledger, held):
            # By hand, or by another writer who has gone on since we read.
            if _has_grown(registry, ledger):
                ledger = read_ledger(registry, model)
                continue
            _warn_of_moves_by_hand(ledger, held)
        registry.project(model, ledger.stages)
        # Another writer may have gone on meanwhile, and our older aliases would hide what it wrote.
        if not _has_grown(registry, ledger):
            break
        ledger = read_ledger(registry, model)
    return ledger


def _has_grown(registry: Registry, ledger: Ledger) -> bool:
    return registry.has_entry(ledger.model, PROMOTION, event_key(ledger.next_number))


def _is_left_behind(ledger: Ledger, held: Mapping[Stage, str]) -> bool:
    """Whether a crash explains these aliases: they stand before the last move, or before its last step."""
    moves = [event for event in ledger.events if event.target is not None]
    before = Ledger(ledger.model, tuple(moves[:-1])).stages
    return held in (before, {**before, **ledger.stages})


def _warn_of_moves_by_hand(ledger: Ledger, held: Mapping[Stage, str]) -> None:
    for stage in STAGES:
        if held.get(stage) != ledger.stages.get(stage):
            log.warning(
                "%s: alias %s was at %s, not %s: moved by hand, or left by a killed writer; put back",
                ledger.model, stage, held.get(stage, "nothing"), ledger.stages.get(stage, "nothing"),
            )  # fmt: skip


def resolve(registry: Registry, model: str, version: str) -> ModelVersion:
    """One version by number, or the version at a stage by `@production`, `@staging`, `@shadow`.

    Raises:
        VersionNotFoundError: no such version, or nothing at that stage.
    """
    if not version.startswith("@"):
        return registry.version(model, version)
    stage = version[1:]
    held = read_ledger(registry, model).stages
    number = held.get(stage)  # type: ignore[call-overload]  # any text: what is no stage is not held
    if number is None:
        there = (
            ", ".join(f"@{name} is version {held[name]}" for name in STAGES if name in held)
            or "all are empty"
        )
        raise VersionNotFoundError(
            f"{model} has no version at {version} (stages: @staging, @shadow, @production; {there}) "
            f"in {registry.uri}"
        )
    return registry.version(model, number)
