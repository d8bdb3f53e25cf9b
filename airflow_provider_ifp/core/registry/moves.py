"""Moves between stages: frozen values with a precondition, answered by the ledger's next event.

`plan_judgement`, `plan_promotion` and `plan_rollback` look at the ledger and give that event, or refuse; the
adapter writes it under its number, once, and plans again if another writer came first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from airflow_provider_ifp.core.errors import PromotionRefusedError
from airflow_provider_ifp.core.registry.lifecycle import REASON_LIMIT, Event

if TYPE_CHECKING:
    from airflow_provider_ifp.core.registry.lifecycle import Ledger, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who wants a change, when, and the name under which a retry finds it again."""

    actor: str
    time: str
    nonce: str
    by: Literal["loop", "person"] = "loop"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """No precondition on what production is now."""


UNCHECKED = Unchecked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Move `version` to `target`, provided that production is still `expected`.

    Attributes:
        version: The version to move.
        target: The stage to enter.
        expected: The version in production when the candidate was judged (None: there was none), or
            `UNCHECKED` when a person moves it regardless.
        override: The name of who overrides a failed gate, or None.
        files_digest: Digest of the version's stored files.
    """

    version: str
    target: Stage
    expected: str | Unchecked | None = UNCHECKED
    override: str | None = None
    files_digest: str | None = None


def chain(ledger: Ledger, event: Event) -> Event:
    """Give the event its place: the next number, and the digest of the event before."""
    previous = ledger.events[-1].digest if ledger.events else None
    return replace(event, number=ledger.next_number, previous=previous, reason=_shortened(event.reason))


def _shortened(reason: str) -> str:
    """The reason as an event keeps it: control characters take up six characters each where it is stored."""
    kept = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in reason)
    return kept if len(kept) <= REASON_LIMIT else kept[: REASON_LIMIT - 1] + "…"


def plan_judgement(
    ledger: Ledger, attempt: Attempt, *, version: str, verdict: str, promotes: bool, verdict_digest: str
) -> Event:
    """The event that records a verdict; a retry with the same nonce gets the event it made before."""
    return ledger.with_nonce(attempt.nonce) or chain(
        ledger,
        Event(
            number=0,
            time=attempt.time,
            actor=attempt.actor,
            action="judge",
            version=version,
            source=ledger.stage_of(version),
            reason=attempt.reason,
            verdict=verdict,
            promotes=promotes,
            verdict_digest=verdict_digest,
            by=attempt.by,
            nonce=attempt.nonce,
        ),
    )


def plan_promotion(ledger: Ledger, attempt: Attempt, change: Promotion) -> Event:
    """The event that moves a version to a stage.

    Raises:
        PromotionRefusedError: production is not what it was when the candidate was judged; the version stands
            there already; its gate failed and nobody overrides it; or the loop would promote what was never
            judged or was rolled back, or take production away.
    """
    if made := ledger.with_nonce(attempt.nonce):
        return made
    _refuse_unless_allowed(ledger, attempt, change)
    judged = ledger.judgement(change.version)
    return chain(
        ledger,
        Event(
            number=0,
            time=attempt.time,
            actor=attempt.actor,
            action="promote",
            version=change.version,
            source=ledger.stage_of(change.version),
            target=change.target,
            replaced=ledger.stages.get(change.target),
            reason=attempt.reason,
            verdict_digest=judged.verdict_digest if judged else None,
            files_digest=change.files_digest,
            by=attempt.by,
            override=change.override,
            nonce=attempt.nonce,
        ),
    )


def _refuse_unless_allowed(ledger: Ledger, attempt: Attempt, change: Promotion) -> None:
    what = f"{ledger.model} version {change.version} to {change.target}"
    production, judged = ledger.production, ledger.judgement(change.version)
    if ledger.stage_of(change.version) == change.target:
        raise PromotionRefusedError(f"{what}: it stands there already")
    if not isinstance(change.expected, Unchecked) and change.expected != production:
        raise PromotionRefusedError(f"{what}: {_changed(attempt, change.expected, production)}")
    if attempt.by == "person":
        if not attempt.reason.strip():
            raise PromotionRefusedError(f"{what}: a person's promotion needs a reason")
        if judged is not None and not judged.promotes and not change.override:
            raise PromotionRefusedError(
                f"{what}: its gate said {judged.verdict} ({judged.reason}); "
                "to promote it all the same, name who takes that on with --override NAME"
            )
        return
    if judged is None:
        raise PromotionRefusedError(
            f"{what}: it was never judged; only a person may promote it, with a reason"
        )
    if not judged.promotes:
        raise PromotionRefusedError(f"{what}: its gate said {judged.verdict} ({judged.reason})")
    if change.version in ledger.rolled_back:
        raise PromotionRefusedError(
            f"{what}: it was rolled back; only a person may promote it again, with a reason"
        )
    if change.version == production:
        raise PromotionRefusedError(
            f"{what}: it is in production, which would be left empty; only a person may do that, with a "
            "reason"
        )


def _changed(attempt: Attempt, expected: str | None, production: str | None) -> str:
    """How production is not what it was expected to be."""
    now = f"but there is now {_production(production)}"
    if attempt.by == "person":
        return f"expected {_production(expected)}, {now}"
    return (
        f"it was judged against {_production(expected)}, {now}; judge it again (run the gates) before "
        "promoting it"
    )


def plan_rollback(
    ledger: Ledger,
    attempt: Attempt,
    to_version: str | None = None,
    files_digest: str | None = None,
    *,
    expected: str | Unchecked | None = UNCHECKED,
) -> Event:
    """The event that puts an earlier production version back.

    Args:
        ledger: The model's ledger.
        attempt: Who, when, why.
        to_version: The version to put back; None: the last good one.
        files_digest: Digest of that version's stored files.
        expected: The production version that is to be rolled back, or `UNCHECKED` where the version to put
            back was named, whatever answers now.

    Raises:
        PromotionRefusedError: nothing is in production, there is no earlier good version, the version named
            never was in production, or production is not what is to be rolled back.
    """
    if made := ledger.with_nonce(attempt.nonce):
        return made
    if not isinstance(expected, Unchecked) and expected != ledger.production:
        raise PromotionRefusedError(
            f"{ledger.model}: {_production(expected)} was to be rolled back, but there is now "
            f"{_production(ledger.production)}; look again, and roll back again if it is worse too"
        )
    version = rollback_target(ledger, to_version)
    return chain(
        ledger,
        Event(
            number=0,
            time=attempt.time,
            actor=attempt.actor,
            action="roll_back",
            version=version,
            source=ledger.stage_of(version),
            target="production",
            replaced=ledger.production,
            reason=attempt.reason,
            files_digest=files_digest,
            by=attempt.by,
            nonce=attempt.nonce,
        ),
    )


def rollback_target(ledger: Ledger, to_version: str | None) -> str:
    """The version that a rollback would put back; refuses as `plan_rollback` does."""
    present = ledger.production
    if present is None:
        raise PromotionRefusedError(
            f"{ledger.model}: nothing is in production, so there is nothing to roll back"
        )
    if to_version is None:
        good = ledger.last_good()
        if good is None:
            raise PromotionRefusedError(
                f"{ledger.model}: version {present} has no good production version before it; "
                "name one with to_version (`--to`), or promote another version"
            )
        return good
    if to_version == present:
        raise PromotionRefusedError(f"{ledger.model}: version {present} is in production already")
    if to_version not in ledger.productions:
        known = ", ".join(sorted(set(ledger.productions) - {present}, key=_numeric)) or "none"
        raise PromotionRefusedError(
            f"{ledger.model}: version {to_version} never was in production, so it is no rollback; "
            f"earlier production versions: {known}; to move a new version up, promote it"
        )
    return to_version


def _production(version: str | None) -> str:
    return "no production version" if version is None else f"production version {version}"


def _numeric(version: str) -> tuple[int, str]:
    return (int(version), version) if version.isdigit() else (0, version)
