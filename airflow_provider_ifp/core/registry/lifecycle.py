"""Stages: what follows from the promotion ledger's events. The moves between them are in `moves`.

The ledger is the truth; where a version stands follows from folding its events.

A version has one stage or none: entering the next drops the one before. Archived means: was in production, is
no longer. Judgements are events too, so that "failed its gate" and "waits in staging" need no second store.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ifp.core.digest import digest_bytes
from airflow_provider_ifp.core.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["staging", "shadow", "production"]
STAGES: tuple[Stage, ...] = ("staging", "shadow", "production")
Action = Literal["judge", "promote", "roll_back"]

REASON_LIMIT = 2000
"""Characters of a reason that an event keeps: an event must stay under 6,000, where MLflow cuts silently."""


_STORED = {"number": "event", "source": "from", "target": "to"}
"""The contract's names for an event's fields; the others keep their own."""
_OWN = {stored: own for own, stored in _STORED.items()}
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_KINDS: dict[str, type] = {"number": int, "promotes": bool}
"""Of an event's fields; the others are text."""


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

    def __post_init__(self) -> None:
        """Refuse what has no digest or no date: anybody may write to the ledger's run.

        Raises:
            RegistryError: as said; the message names the field.
        """
        for name, kind, optional in _fields():
            value = getattr(self, name)
            if type(value) is not kind and not (value is None and optional):
                raise RegistryError(f"ledger event: {name} is {value!r:.80}, expected {kind.__name__}")
            if isinstance(value, str) and not _is_unicode(value):
                raise RegistryError(f"ledger event: {name} is {value!r:.80}, which is no valid Unicode")
        if not _is_moment(self.time):
            raise RegistryError(f"ledger event: time is {self.time!r:.80}, expected ISO 8601 with its zone")

    def to_json(self) -> dict[str, Any]:
        """The stored form, with the contract's names `event`, `from` and `to`."""
        return {_STORED.get(name, name): getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Event:
        """Read the stored form.

        Raises:
            RegistryError: it is no record, lacks a field, has one too many, or one of another kind.
        """
        try:
            return cls(**{_OWN.get(key, key): value for key, value in record.items()})
        except (AttributeError, TypeError) as error:
            raise RegistryError(f"the ledger has an event that is not of this form: {error}") from error

    @property
    def text(self) -> str:
        """The stored form as it is written: equal events have equal texts."""
        return _canonical(self.to_json())

    @property
    def digest(self) -> str:
        """What the next event's `previous` must be."""
        # As `digest_json(self.to_json())`, without its search for what has no JSON form: there is none here,
        # and a ledger of thousands of events is read often.
        return digest_bytes(self.text.encode())


@cache
def _fields() -> tuple[tuple[str, type, bool], ...]:
    """Of an event's fields: name, kind, whether it may be null."""
    return tuple((entry.name, _KINDS.get(entry.name, str), entry.default is None) for entry in fields(Event))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All events of one model, in order, and what follows from them."""

    model: str
    events: tuple[Event, ...] = ()
    voids: tuple[int, ...] = ()
    """Numbers taken by entries that are no events; nobody can remove them, and they say nothing."""

    @property
    def next_number(self) -> int:
        """The number that the next event gets; the first event has 1."""
        number = self.events[-1].number + 1 if self.events else 1
        while number in self.voids:
            number += 1
        return number

    def at(self, time: datetime) -> Ledger:
        """The ledger as it stood then: the events before the first one that was decided later.

        Args:
            time: With its zone.
        """
        # By place, not by each event's own clock: one that follows a later one was not there yet either.
        later = (event for event in self.events if datetime.fromisoformat(event.time) > time)
        first = next(later, None)
        return self if first is None else Ledger(self.model, self.events[: self.events.index(first)])

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

    @property
    def standings(self) -> dict[str, str]:
        """Version -> `staging`, `shadow`, `production` or `archived`, for each that stands somewhere."""
        archived = dict.fromkeys(self.productions, "archived")
        return archived | {version: stage for stage, version in self.stages.items()}

    def stage_of(self, version: str) -> str | None:
        """`staging`, `shadow`, `production`, `archived`, or None."""
        return self.standings.get(version)

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


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
