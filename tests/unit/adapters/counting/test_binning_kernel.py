"""The kernel is built whole or not at all, and only that of this very source counts."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.adapters.counting import binning_kernel
from airflow_provider_ifp.adapters.counting.binning_kernel import KERNEL, SOURCE, load
from airflow_provider_ifp.core.profile.reference import profile_numbers

REPOSITORY = Path(__file__).parents[4]
needs_kernel = pytest.mark.skipif(KERNEL is None, reason="no C compiler built the kernel")


@pytest.fixture
def hatch_build():
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_kernel
def test_a_library_of_another_source_is_not_loaded(tmp_path, monkeypatch):
    changed = tmp_path / SOURCE.name
    changed.write_bytes(SOURCE.read_bytes() + b"\n")
    monkeypatch.setattr(binning_kernel, "SOURCE", changed)
    assert load() is None


@needs_kernel
@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_a_missing_or_damaged_library_leaves_the_counting_to_numpy(tmp_path, monkeypatch, content):
    library = tmp_path / "libbinning.so"
    if content is not None:
        library.write_bytes(content)
    monkeypatch.setattr(binning_kernel, "LIBRARY", library)
    assert load() is None


@needs_kernel
def test_what_the_hook_compiles_is_loaded(hatch_build, tmp_path, monkeypatch):
    library = tmp_path / "libbinning.so"
    assert hatch_build.compile_kernel(SOURCE, library) is None
    monkeypatch.setattr(binning_kernel, "LIBRARY", library)
    assert load() is not None
    assert list(tmp_path.iterdir()) == [library]


@pytest.mark.parametrize(
    ("compiler", "said"), [("/no/such/cc", "No such file or directory"), ("false", "-shared")]
)
def test_a_build_without_a_compiler_says_why_and_leaves_nothing(
    hatch_build, tmp_path, monkeypatch, compiler, said
):
    monkeypatch.setenv("CC", compiler)
    assert said in hatch_build.compile_kernel(SOURCE, tmp_path / "libbinning.so")
    assert list(tmp_path.iterdir()) == []


@needs_kernel
@given(codes=st.lists(st.integers(0, 20), max_size=60), size=st.sampled_from([21, 1_000, 1_001]))
def test_codes_are_counted_as_by_numpy(codes, size):
    codes = np.array(codes, dtype=np.int32)
    assert KERNEL.count_codes(codes, size).tolist() == np.bincount(codes, minlength=size).tolist()


@needs_kernel
@pytest.mark.parametrize("code", [-1, 3, 2**31 - 1, -(2**31)])
def test_a_code_without_a_value_is_written_nowhere(code):
    assert KERNEL.count_codes(np.array([0, code, 2], dtype=np.int32), 3) is None


SPREADS = {
    "one far edge": [*np.linspace(0, 1, 400), 1e9],
    "two clusters": [*np.linspace(-1e-9, 1e-9, 300), *(1e6 + np.linspace(0, 1e-3, 300))],
    "far from zero": 1e15 + np.arange(300.0),
    "neighbours": np.cumsum(np.full(300, 5e-324)),
    "all sizes": [*-np.geomspace(1e300, 1e-300, 200), *np.geomspace(1e-300, 1e300, 200)],
}


@needs_kernel
@pytest.mark.parametrize("cuts", SPREADS.values(), ids=SPREADS)
def test_the_table_finds_its_way_whatever_the_spread_of_the_edges(cuts):
    edges = np.append(np.unique(cuts), np.inf)
    values = np.concatenate([edges, np.nextafter(edges[:-1], -1e301), np.nextafter(edges[:-1], 1e301)])
    found = np.zeros(len(edges), np.int64)
    sums = binning_kernel.Sums(profile_numbers("x", np.array([np.nan])))
    KERNEL.count_intervals(values, KERNEL.table(edges), found, sums)
    expected = np.bincount(np.searchsorted(edges, values), minlength=len(edges))
    assert found.tolist() == expected.tolist()
