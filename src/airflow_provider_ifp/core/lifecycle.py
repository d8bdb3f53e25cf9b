"""Stages, and the moves between them: a pure state machine over the promotion ledger's events.

The ledger is the truth; where a version stands follows from folding its events. A move is a frozen value that
carries its own precondition (what production was when the candidate was judged). `plan_promotion` and
`plan_rollback` answer with the next event, or refuse; the adapter writes that event under its number, once.

A version has one stage or none: entering the next drops the one before. Archived means: was in production, is
no longer. Judgements are events too, so that "failed its gate" and "waits in staging" need no second store.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import PromotionRefusedError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Stage = Literal["staging", "shadow", "production"]
STAGES: tuple[Stage, ...] = ("staging", "shadow", "production")
Action = Literal["judge", "promote", "roll_back"]

REASON_LIMIT = 2000
"""Characters of a reason that an event keeps: an event must stay under 6,000, where MLflow cuts silently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the promotion ledger.

    Attributes:
        number: 1, 2, 3 ...; the compare-and-set is on this number.
        time: When it was decided, ISO 8601 in UTC.
        actor: Who: a person's name, or `airflow:<dag>/<run>/<task>`.
        action: `judge` records a verdict and moves nothing; `promote` and `roll_back` move a version.
        version: The version judged or moved.
        source: The stage that it left (`archived` after a production of its own), or null.
        target: The stage that it entered, or null for a judgement.
        replaced: The version that stood at `target` before, or null.
        reason: In words and numbers, at most `REASON_LIMIT` characters.
        verdict: A judgement's answer, or null.
        promotes: Whether that judgement lets the loop promote (`pass`, or not enforced).
        verdict_digest: Digest of the verdict by which it was decided, or null.
        files_digest: Digest of the version's stored files when it was moved, or null.
        by: `loop` or `person`.
        override: The name under which a person overrode a failed gate, or null.
        nonce: Names the attempt: a retry with the same nonce finds its own event again.
        previous: Digest of the event before, or null for the first.
    """

    number: int
    time: str
    actor: str
    action: Action
    version: str
    source: str | None = None
    target: Stage | None = None
    replaced: str | None = None
    reason: str
    verdict: str | None = None
    promotes: bool | None = None
    verdict_digest: str | None = None
    files_digest: str | None = None
    by: Literal["loop", "person"] = "loop"
    override: str | None = None
    nonce: str
    previous: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stored form, with the contract's names `event`, `from` and `to`."""
        names = {"number": "event", "source": "from", "target": "to"}
        return {names.get(key, key): value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Event:
        """Read the stored form.

        Raises:
            RegistryError: the record lacks a field or has one too many.
        """
        names = {"event": "number", "from": "source", "to": "target"}
        try:
            return cls(**{names.get(key, key): value for key, value in record.items()})
        except TypeError as error:
            raise RegistryError(f"the ledger has an event that is not of this form: {error}") from error

    @property
    def digest(self) -> str:
        """What the next event's `previous` must be."""
        return digest_json(self.to_json())


@dataclass(frozen=True, slots=True)
class Ledger:
    """All events of one model, in order, and what follows from them."""

    model: str
    events: tuple[Event, ...] = ()

    @property
    def next_number(self) -> int:
        """The number that the next event gets; the first event has 1."""
        return len(self.events) + 1

    @property
    def stages(self) -> dict[Stage, str]:
        """The version at each occupied stage."""
        held: dict[Stage, str] = {}
        for event in self.events:
            if event.target is None:
                continue
            held = {stage: version for stage, version in held.items() if version != event.version}
            held[event.target] = event.version
        return held

    @property
    def production(self) -> str | None:
        """The version in production, or None."""
        return self.stages.get("production")

    def stage_of(self, version: str) -> str | None:
        """`staging`, `shadow`, `production`, `archived`, or None."""
        for stage, held in self.stages.items():
            if held == version:
                return stage
        return "archived" if version in self.productions else None

    @property
    def productions(self) -> tuple[str, ...]:
        """Versions in the order in which they entered production, repeats included."""
        return tuple(event.version for event in self.events if event.target == "production")

    @property
    def rolled_back(self) -> frozenset[str]:
        """Versions that a rollback took out of production and that nobody has put there again."""
        out: set[str] = set()
        for event in self.events:
            if event.target == "production":
                out.discard(event.version)
                if event.action == "roll_back" and event.replaced is not None:
                    out.add(event.replaced)
        return frozenset(out)

    def judgement(self, version: str) -> Event | None:
        """The latest judgement of that version, or None."""
        judged = [event for event in self.events if event.action == "judge" and event.version == version]
        return judged[-1] if judged else None

    def waiting(self) -> tuple[str, Stage] | None:
        """A version that passed its gates and waits in staging or shadow, with its stage."""
        for stage in ("shadow", "staging"):
            version = self.stages.get(stage)
            judged = self.judgement(version) if version is not None else None
            if version is not None and judged is not None and judged.promotes:
                return version, stage
        return None

    def with_nonce(self, nonce: str) -> Event | None:
        """The event that an earlier try of the same attempt made, or None."""
        return next((event for event in self.events if event.nonce == nonce), None)

    def last_good(self) -> str | None:
        """The production version before the present one that was not rolled back, or None."""
        present, bad = self.production, self.rolled_back
        for version in reversed(self.productions):
            if version != present and version not in bad:
                return version
        return None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Move `version` to `target`, provided that production is still `expected`.

    Attributes:
        version: The version to move.
        target: The stage to enter.
        expected: The version in production when the candidate was judged (None: there was none), or
            `Unchecked()` when a person moves it regardless.
        override: The name of who overrides a failed gate, or None.
        files_digest: Digest of the version's stored files.
    """

    version: str
    target: Stage
    expected: str | Unchecked | None = field(default_factory=Unchecked)
    override: str | None = None
    files_digest: str | None = None


def chain(ledger: Ledger, event: Event) -> Event:
    """Give the event its place: the next number, and the digest of the event before."""
    previous = ledger.events[-1].digest if ledger.events else None
    reason = event.reason if len(event.reason) <= REASON_LIMIT else event.reason[: REASON_LIMIT - 1] + "…"
    return replace(event, number=ledger.next_number, previous=previous, reason=reason)


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
        raise PromotionRefusedError(
            f"{what}: it was judged against {_production(change.expected)}, but there is now "
            f"{_production(production)}; judge it again (run the gates) before promoting it"
        )
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


def plan_rollback(
    ledger: Ledger, attempt: Attempt, to_version: str | None = None, files_digest: str | None = None
) -> Event:
    """The event that puts an earlier production version back.

    Args:
        ledger: The model's ledger.
        attempt: Who, when, why.
        to_version: The version to put back; None: the last good one.
        files_digest: Digest of that version's stored files.

    Raises:
        PromotionRefusedError: nothing is in production, there is no earlier good version, or the version
            named never was in production.
    """
    if made := ledger.with_nonce(attempt.nonce):
        return made
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
                "name one with to_version, or promote another version"
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


def verify_chain(model: str, events: Iterable[Event]) -> tuple[Event, ...]:
    """The events in order, once their numbers have no gap and each names the digest of the one before.

    Raises:
        RegistryError: an event is missing, or was changed after it was written.
    """
    ordered = tuple(sorted(events, key=lambda event: event.number))
    previous = None
    for place, event in enumerate(ordered, start=1):
        if event.number != place:
            raise RegistryError(f"{model}: the ledger lacks event {place}; run `ifp audit {model}`")
        if event.previous != previous:
            raise RegistryError(
                f"{model}: ledger event {place} does not follow from event {place - 1} "
                f"(expected {previous}, found {event.previous}); run `ifp audit {model}`"
            )
        previous = event.digest
    return ordered


def _production(version: str | None) -> str:
    return "no production version" if version is None else f"production version {version}"


def _numeric(version: str) -> tuple[int, str]:
    return (int(version), version) if version.isdigit() else (0, version)
