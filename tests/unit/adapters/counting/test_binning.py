"""The fast counting of numbers says what the plain one says, to the last row."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.same_counts import require_same_counts

from airflow_provider_ifp.adapters.counting import binning, binning_kernel
from airflow_provider_ifp.adapters.counting.binning import Bins, Room, count_values
from airflow_provider_ifp.core.profile.counting import count_numbers
from airflow_provider_ifp.core.profile.reference import profile_numbers

RNG = np.random.default_rng(11)
REFERENCES = {
    "normal": RNG.normal(size=5_000),
    "far from zero": 1.7e9 + RNG.uniform(0, 86_400, 5_000),
    "lognormal": RNG.lognormal(0, 3, 5_000),
    "pareto": RNG.pareto(0.8, 5_000),
    "whole": RNG.poisson(40, 5_000).astype(float),
    "cents": RNG.integers(0, 100_000, 5_000) / 100,
    "zero-inflated": np.where(RNG.random(5_000) < 0.8, 0.0, RNG.exponential(1, 5_000)),
    "constant": np.full(50, 3.0),
    "infinite": np.where(RNG.random(5_000) < 0.3, np.inf, RNG.normal(size=5_000)),
    "huge": RNG.normal(size=5_000) * 1e200,
    "subnormal": RNG.normal(size=5_000) * 5e-320,
    "none": np.full(10, np.nan),
}
GRIDS = ["fine", "coarse", "deciles"]
# Without a C compiler there is no kernel, and that is said by a skip.
KERNELS = {
    "numpy": None,
    "compiled": pytest.param(
        binning_kernel.KERNEL,
        marks=pytest.mark.skipif(binning_kernel.KERNEL is None, reason="no C compiler built the kernel"),
    ),
}
each_way = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


@pytest.fixture(autouse=True)
def every_table_is_used(monkeypatch):
    monkeypatch.setattr(binning, "_WORTH_A_TABLE", 0)
    monkeypatch.setattr(binning, "_CROWDED", np.inf)


def defined(feature, values, grid):
    """What the definition counts; only the fine grid has moments."""
    counts = count_numbers(feature, values, grid)
    return counts if grid == "fine" else replace(counts, moments=None)


@each_way
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", REFERENCES)
def test_values_at_below_and_above_every_edge_fall_where_the_definition_says(name, grid, kernel):
    feature = profile_numbers("x", REFERENCES[name])
    edges = np.array([*feature.edges, *feature.atoms, 0.0, -0.0])
    around = [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    extremes = np.array([np.nan, np.inf, -np.inf, 1e308, -1e308, 1e140, -1e140, 5e-324])
    values = np.concatenate([*around, extremes, REFERENCES[name]])
    found = count_values(Bins.of(feature, grid), [values], Room(), kernel)
    require_same_counts(found, defined(feature, values, grid))


@each_way
@pytest.mark.parametrize("grid", GRIDS)
@given(data=st.data())
def test_any_values_in_any_chunks_are_counted_as_by_the_definition(grid, kernel, data):
    numbers = st.floats(width=32) | st.integers(-3, 3).map(float) | st.floats()
    reference = data.draw(st.lists(numbers, min_size=1, max_size=40))
    values = np.array(data.draw(st.lists(numbers | st.sampled_from(reference), max_size=60)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    feature = profile_numbers("x", np.array(reference))
    found = count_values(Bins.of(feature, grid), np.split(values, cuts), Room(), kernel)
    require_same_counts(found, defined(feature, values, grid))


@each_way
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 16, 17])
def test_blocks_end_anywhere(monkeypatch, grid, rows, kernel):
    monkeypatch.setattr(binning, "_COMPARED", 8)
    values = RNG.normal(size=rows)
    feature = profile_numbers("x", REFERENCES["normal"])
    room = Room(values=np.empty(8), flags=np.empty(8, dtype=np.bool_))
    found = count_values(Bins.of(feature, grid), np.array_split(values, 3), room, kernel)
    require_same_counts(found, defined(feature, values, grid))


@each_way
def test_more_rows_than_a_block_are_all_counted_and_only_read(kernel):
    values = RNG.normal(size=300_000)
    values.flags.writeable = False
    feature = profile_numbers("x", REFERENCES["normal"])
    for grid in GRIDS:
        found = count_values(Bins.of(feature, grid), [values], Room(), kernel)
        require_same_counts(found, defined(feature, values, grid))


SPREAD = RNG.normal(size=20_000)


@pytest.mark.parametrize(
    ("reference", "rows", "by_table"),
    [(SPREAD, 32_768, True), (SPREAD, 32_767, False), (np.exp(4 * SPREAD), 32_768, False)],
)
def test_where_a_table_costs_more_than_it_saves_values_are_sorted(monkeypatch, reference, rows, by_table):
    monkeypatch.undo()
    sorts, sort = [], binning._sort
    monkeypatch.setattr(binning, "_sort", lambda *arguments: sorts.append(1) or sort(*arguments))
    feature, values = profile_numbers("x", reference), RNG.permutation(np.resize(reference, rows))
    counts = count_values(Bins.of(feature, "fine"), np.array_split(values, 3), Room())
    require_same_counts(counts, defined(feature, values, "fine"))
    assert bool(sorts) is not (by_table and binning_kernel.KERNEL is not None)


@each_way
def test_room_is_used_again_without_a_trace(kernel):
    room = Room()
    counted = [
        count_values(
            Bins.of(profile_numbers("x", REFERENCES[name]), "fine"), [REFERENCES[name]], room, kernel
        )
        for name in ("zero-inflated", "normal", "zero-inflated")
    ]
    assert counted[0] == counted[2]
