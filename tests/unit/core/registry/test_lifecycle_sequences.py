"""The stage machine under any sequence of moves: what must hold after each of them.

The model that it is held against keeps its own books, from the moves that were accepted, in the plainest way.
"""

from dataclasses import dataclass, field

from hypothesis import event, given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.core.errors import PromotionRefusedError
from airflow_provider_ifp.core.registry.chain import verify_chain
from airflow_provider_ifp.core.registry.lifecycle import Ledger
from airflow_provider_ifp.core.registry.moves import (
    Attempt,
    Promotion,
    Unchecked,
    plan_judgement,
    plan_promotion,
    plan_rollback,
)

# Three versions, mostly what is allowed, and often a history: else most sequences end at the first refusals.
versions = st.sampled_from("123")
judges = st.tuples(st.just("judge"), versions, st.sampled_from(["pass", "waived", "fail"]))
promotions = st.tuples(
    st.just("promote"),
    versions,
    st.sampled_from(["production", "production", "staging", "shadow"]),
    st.sampled_from(["as seen", "as seen", "unchecked", None, "1"]),
    st.sampled_from(["loop", "person"]),
    st.sampled_from(["a reason", "a reason", ""]),
    st.sampled_from(["ada", None]),
)
rollbacks = st.tuples(st.just("roll back"), st.none() | versions)
BY_HAND = ("production", "unchecked", "person", "a reason", None)
HISTORY = [("promote", version, *BY_HAND) for version in "123"]
moves_ahead = st.lists(st.one_of(judges, promotions, promotions, rollbacks), min_size=5, max_size=20)
sequences = st.builds(lambda before, ahead: before + ahead, st.sampled_from([HISTORY, []]), moves_ahead)


@dataclass
class Books:
    """What the accepted moves amount to."""

    place: dict = field(default_factory=dict)
    judged: dict = field(default_factory=dict)
    once_in_production: set = field(default_factory=set)
    bad: set = field(default_factory=set)

    @property
    def production(self):
        return next((version for version, stage in self.place.items() if stage == "production"), None)

    def move(self, version, target):
        self.place = {other: stage for other, stage in self.place.items() if stage != target}
        self.place[version] = target
        if target == "production":
            self.once_in_production.add(version)
            self.bad.discard(version)


def planned(ledger, move, nonce):
    kind, version, *rest = move
    who = Attempt(actor="a", time="2013-06-01T00:00:00Z", nonce=nonce, reason="judged or rolled back")
    if kind == "judge":
        verdict, promotes = ("fail", True) if rest[0] == "waived" else (rest[0], rest[0] == "pass")
        return plan_judgement(
            ledger, who, version=version, verdict=verdict, promotes=promotes, verdict_digest=f"d{nonce}"
        )
    if kind == "roll back":
        return plan_rollback(ledger, who, version)
    target, _, by, reason, override = rest
    who = Attempt(actor="a", time="2013-06-01T00:00:00Z", nonce=nonce, by=by, reason=reason)
    change = Promotion(version=version, target=target, expected=expectation(ledger, move), override=override)
    return plan_promotion(ledger, who, change)


def expectation(ledger, move):
    return {"as seen": ledger.production, "unchecked": Unchecked()}.get(move[3], move[3])


def require_allowed(books, ledger, move, made):
    """What an accepted move must have had behind it."""
    if move[0] == "promote":
        _, version, target, _, by, reason, override = move
        expected = expectation(ledger, move)
        assert isinstance(expected, Unchecked) or expected == books.production
        assert books.place.get(version) != target
        if by == "loop":
            assert books.judged.get(version) in {"pass", "waived"}
            assert version not in books.bad
            assert version != books.production
        else:
            assert reason
            assert books.judged.get(version) != "fail" or override
    if move[0] == "roll back":
        assert made.version in books.once_in_production - {books.production}
        assert move[1] is not None or made.version not in books.bad


def book(books, move, made):
    if move[0] == "judge":
        books.judged[move[1]] = move[2]
        return
    if move[0] == "roll back":
        books.bad.add(books.production)
    books.move(made.version, made.target)


def require_invariants(books, ledger):
    held = ledger.stages
    assert len(set(held.values())) == len(held)
    assert held == {stage: version for version, stage in books.place.items()}
    for version in "123":
        archived = version in books.once_in_production and version not in books.place
        assert ledger.stage_of(version) == ("archived" if archived else books.place.get(version))
    assert ledger.rolled_back == books.bad
    good = ledger.last_good()
    assert good not in books.bad
    assert good is None or good in books.once_in_production - {books.production}
    waits = ledger.waiting()
    assert waits is None or books.judged[waits[0]] in {"pass", "waived"}


@settings(max_examples=200, deadline=None)
@given(sequences)
def test_after_any_sequence_of_moves_the_stages_and_the_ledger_hold(moves):
    books, ledger, made_by = Books(), Ledger("m"), {}
    for place, move in enumerate(moves):
        try:
            made = planned(ledger, move, f"n{place}")
        except PromotionRefusedError:
            continue
        event(move[0])
        require_allowed(books, ledger, move, made)
        book(books, move, made)
        ledger = Ledger("m", (*ledger.events, made))
        made_by[f"n{place}"] = (move, made)
        require_invariants(books, ledger)
    assert verify_chain("m", reversed(ledger.events)) == ledger.events
    for nonce, (move, made) in made_by.items():
        assert planned(ledger, move, nonce) is made
