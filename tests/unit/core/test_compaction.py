"""Merging files of an hour, by many runs at once that stop anywhere: each row counts once at every moment."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airflow_provider_ifp.core.compaction import removable, stand_ins, superseded

KEEP = 10
"""Ticks for which what was merged stays, and for which the longest reader reads."""


class Hour(RuleBasedStateMachine):
    """A folder with files of one row each, and whoever writes, merges, deletes and reads there."""

    def __init__(self):
        super().__init__()
        self.time = 0
        self.rows = 0
        self.there = set()
        self.sources = {}
        self.holds = {}
        self.appeared = {}
        self.merges = []
        self.deletions = []
        self.readers = []

    @property
    def known(self):
        return {name: self.sources[name] for name in self.there if name in self.sources}

    def live(self):
        return self.there - superseded(self.there, self.known)

    @rule()
    def a_file_appears(self):
        name = f"part-{self.rows}"
        self.rows += 1
        self.there.add(name)
        self.holds[name] = [name]

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def a_file_is_written_again_after_a_kill(self, data):
        name = f"part-{data.draw(st.integers(0, self.rows - 1))}"
        if not any(name in sources for sources in self.known.values()):
            assert name in self.there
        self.there.add(name)

    @precondition(lambda self: len(self.live()) > 1)
    @rule(data=st.data())
    def a_merge_begins(self, data):
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.live())), min_size=2))
        self.merges.append((self.time, sorted(chosen), self.known))

    @precondition(lambda self: self.merges)
    @rule(data=st.data())
    def a_merge_ends(self, data):
        _, chosen, known = self.merges.pop(data.draw(st.integers(0, len(self.merges) - 1)))
        if not self.there.issuperset(chosen):
            return
        sources = frozenset(chosen).union(*(known.get(name, ()) for name in chosen))
        name = "compact-" + ",".join(sorted(sources))
        self.there.add(name)
        self.sources[name] = sources
        self.holds[name] = [row for one in chosen for row in self.holds[one]]
        self.appeared.setdefault(name, self.time)

    @rule()
    def a_deletion_begins(self):
        settled = {name for name in self.known if self.appeared[name] <= self.time - KEEP}
        self.deletions = sorted(removable(self.there, self.known, settled))

    @precondition(lambda self: self.deletions)
    @rule(data=st.data())
    def a_file_is_deleted(self, data):
        place = data.draw(st.integers(0, len(self.deletions) - 1))
        self.there.discard(self.deletions.pop(place))

    @rule()
    def a_reader_lists(self):
        self.readers.append((self.time, self.live()))

    @rule(ticks=st.sampled_from([1, KEEP]))
    def time_goes_by(self, ticks):
        self.time += ticks
        self.merges = [one for one in self.merges if one[0] > self.time - KEEP]
        self.deletions = [] if ticks == KEEP else self.deletions

    @invariant()
    def each_row_counts_once(self):
        read = sorted(row for name in self.live() for row in self.holds[name])
        assert read == sorted(f"part-{number}" for number in range(self.rows))

    @invariant()
    def what_a_reader_listed_is_there_while_it_reads(self):
        for time, names in self.readers:
            if time > self.time - KEEP:
                assert names <= self.there


TestHour = Hour.TestCase
TestHour.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_of_two_that_overlap_the_one_with_more_sources_counts_and_the_rest_of_the_other_in_its_sources():
    names = {"a", "b", "c", "d", "two", "three"}
    sources = {"two": frozenset("cd"), "three": frozenset("abc")}
    assert names - superseded(names, sources) == {"three", "d"}


def test_a_file_whose_sources_are_gone_counts_before_a_larger_one_whose_sources_are_there():
    names = {"a", "c", "d", "e", "two", "four"}
    sources = {"two": frozenset("ab"), "four": frozenset("acde")}
    assert stand_ins(names, sources) == {"a": "two", "b": "two"}
    assert names - superseded(names, sources) == {"two", "c", "d", "e"}


def test_sources_go_once_their_file_is_settled():
    names, sources = {"a", "b", "late", "merged"}, {"merged": frozenset("ab")}
    assert removable(names, sources, []) == set()
    assert removable(names, sources, ["merged"]) == {"a", "b"}


def test_a_source_that_two_files_name_goes_only_after_the_one_that_does_not_count():
    names = {"a", "b", "c", "d", "three", "two"}
    sources = {"three": frozenset("abc"), "two": frozenset("ad")}
    assert removable(names, sources, ["three"]) == {"b", "c", "two"}
    assert removable(names - {"two"}, {"three": frozenset("abc")}, ["three"]) == {"a", "b", "c"}
