import hashlib
import io
import json
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_ifp.adapters.data.fingerprint import Fingerprint, fingerprint_table, folder_manifest
from airflow_provider_ifp.core.errors import DatasetError, ModelError

SCHEMA = pa.schema(
    {
        "n": pa.int64(),
        "x": pa.float64(),
        "name": pa.string(),
        "ok": pa.bool_(),
        "ts": pa.timestamp("us", "UTC"),
        "price": pa.decimal128(12, 3),
        "day": pa.date32(),
    }
)
ROW = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | st.floats(),
        "name": st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
        "ok": st.none() | st.booleans(),
        "ts": st.none() | st.integers(-(2**60), 2**60),
        "price": st.none() | st.decimals(-(10**6), 10**6, places=3),
        "day": st.none() | st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    }
)
ROWS = st.lists(ROW, max_size=12)


def digest(table):
    return fingerprint_table(table).digest


def of(values, kind=None):
    return digest(pa.table({"a": pa.array(values, kind)}))


@given(ROWS, st.randoms())
@settings(deadline=None)
def test_the_order_of_rows_and_columns_changes_nothing(rows, shuffler):
    table = pa.Table.from_pylist(rows, SCHEMA)
    shuffled, names = list(rows), list(SCHEMA.names)
    shuffler.shuffle(shuffled)
    shuffler.shuffle(names)
    assert digest(pa.Table.from_pylist(shuffled, SCHEMA).select(names)) == digest(table)


@given(ROWS, st.sampled_from(["NONE", "SNAPPY", "ZSTD"]), st.integers(1, 5), st.booleans())
@settings(deadline=None)
def test_a_trip_through_parquet_changes_nothing(rows, codec, group, dictionary):
    table = pa.Table.from_pylist(rows, SCHEMA)
    file = io.BytesIO()
    pq.write_table(table, file, compression=codec, row_group_size=group, use_dictionary=dictionary)
    assert digest(pq.read_table(file)) == digest(table)


@given(ROWS, st.integers(0, 12))
@settings(deadline=None)
def test_batches_change_nothing(rows, cut):
    table = pa.Table.from_pylist(rows, SCHEMA)
    parts = Fingerprint(SCHEMA)
    parts.update(table.slice(0, cut))
    parts.update(table.slice(cut))
    assert parts.digest() == fingerprint_table(table)


@given(ROWS.filter(bool), ROW, st.data())
@settings(deadline=None)
def test_one_value_changed_changes_the_digest(rows, other, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(SCHEMA.names))
    changed = [dict(row) for row in rows]
    changed[place][name] = other[name]
    # Values that count as equal (0.0 and -0.0, any two NaN) are no change.
    before, after = rows[place][name], other[name]
    assume(before != after and {str(before), str(after)} != {"nan"})
    assert digest(pa.Table.from_pylist(changed, SCHEMA)) != digest(pa.Table.from_pylist(rows, SCHEMA))


@given(ROWS.filter(bool), st.data())
@settings(deadline=None)
def test_one_row_more_or_the_same_row_again_changes_the_digest(rows, data):
    again = [*rows, data.draw(st.sampled_from(rows))]
    thrice = [*again, again[-1]]
    digests = {digest(pa.Table.from_pylist(taken, SCHEMA)) for taken in (rows, again, thrice, rows[:-1])}
    assert len(digests) == 4


def test_values_swapped_between_rows_or_columns_change_the_digest():
    rows = pa.table({"a": [1, 2], "b": [3, 4]})
    assert digest(pa.table({"a": [2, 1], "b": [3, 4]})) != digest(rows)
    assert digest(pa.table({"a": [3, 4], "b": [1, 2]})) != digest(rows)
    assert digest(rows.rename_columns(["b", "a"])) != digest(rows)


def test_the_last_digit_counts():
    assert of([1.0]) != of([np.nextafter(1.0, 2.0)])
    assert of([2**62]) != of([2**62 + 1])
    assert of([Decimal("1.001")]) != of([Decimal("1.002")])
    assert of([10**18 + 1], pa.timestamp("ns")) != of([10**18], pa.timestamp("ns"))


def test_null_nan_zero_and_empty_text_are_four_things():
    assert len({of([value], pa.float64()) for value in (None, float("nan"), 0.0)}) == 3
    assert len({of([value], pa.string()) for value in (None, "", "\0", "\0\0", "nan", " ")}) == 6
    assert of([None, 0], pa.int64()) != of([0, 0], pa.int64())


def test_nulls_are_told_apart_by_column():
    first = pa.table({"a": pa.array([None], pa.int64()), "b": pa.array([1])})
    assert digest(first) != digest(pa.table({"a": pa.array([1]), "b": pa.array([None], pa.int64())}))


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()]
)
def test_the_width_of_integers_changes_nothing(kind):
    assert of([0, 5, 127, None], kind) == of([0, 5, 127, None], pa.int64())


def test_large_unsigned_and_negative_integers_of_the_same_bits_differ():
    assert of([2**64 - 1], pa.uint64()) != of([-1], pa.int64())


def test_float32_counts_as_the_float64_of_the_same_value_and_rounding_is_a_change():
    assert of([0.5, None], pa.float32()) == of([0.5, None], pa.float64())
    assert of([0.5], pa.float16()) == of([0.5], pa.float64())
    assert of([0.1], pa.float32()) != of([0.1], pa.float64())


def test_kinds_differ_though_their_values_look_alike():
    kinds = [
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.binary(),
        pa.timestamp("us"),
        pa.duration("us"),
    ]
    values = [1, 1.0, True, "1", b"1", 1, 1]
    assert len({of([value], kind) for value, kind in zip(values, kinds, strict=True)}) == len(kinds)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_the_encoding_of_text_changes_nothing(kind):
    texts = ["EWR", None, "", "a longer name than eight bytes", "EWR", "Zürich"]
    assert digest(pa.table({"a": pa.array(texts).cast(kind)})) == of(texts)


def test_a_dictionary_may_repeat_values_hold_null_and_hold_unused_values():
    indices = pa.array([0, 1, 2, None, 3], pa.int8())
    values = pa.array(["a", "a", None, "b", "unused", "unused too"])
    assert digest(pa.table({"a": pa.DictionaryArray.from_arrays(indices, values)})) == of(
        ["a", "a", None, None, "b"]
    )


def test_units_and_zones_change_no_instant():
    moments = [datetime(2013, 3, 1, 5, 15, tzinfo=UTC), None]
    kinds = [
        pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in ("UTC", "Europe/Zurich")
    ]
    assert len({of(moments, kind) for kind in kinds}) == 1
    assert of([timedelta(seconds=5)], pa.duration("s")) == of([timedelta(seconds=5)], pa.duration("ns"))
    assert of([time(5, 15)], pa.time32("s")) == of([time(5, 15)], pa.time64("ns"))
    assert of([date(2013, 3, 1)], pa.date32()) == of([date(2013, 3, 1)], pa.date64())


def test_equal_decimals_of_another_scale_are_equal():
    assert of([Decimal("1.50"), Decimal(0)], pa.decimal128(5, 2)) == of(
        [Decimal("1.5"), Decimal(0)], pa.decimal256(40, 9)
    )


def test_zero_rows_differ_from_another_schema_with_zero_rows():
    assert of([], pa.int64()) != of([], pa.float64())
    assert fingerprint_table(pa.table({"a": pa.array([], pa.int64())})).rows == 0


def test_slices_of_a_table_are_read_where_they_begin():
    table = pa.table(
        {"s": ["a", "bb", None, "dddddddddd"], "n": [1, None, 3, 4], "ok": [True, None, False, True]}
    )
    copied = pa.Table.from_pylist(table.slice(1, 3).to_pylist(), table.schema)
    assert digest(table.slice(1, 3)) == digest(copied)


def test_more_rows_than_one_chunk_add_up_in_any_order():
    rng = np.random.default_rng(0)
    names = rng.choice(np.array([f"name-{i}" for i in range(30_000)]), 50_000)
    table = pa.table({"x": rng.normal(size=50_000), "name": names})
    order = pa.array(rng.permutation(50_000))
    assert digest(table.take(order)) == digest(table)
    dictionary = table.set_column(1, "name", table["name"].combine_chunks().dictionary_encode())
    assert digest(dictionary) == digest(table)


def plain_digest(rows):
    """Compute fp/1 of columns `n` (integer) and `s` (string) row by row, from the definition."""
    mask = 2**64 - 1
    constants = [
        (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31),
        (27, 0x3C79AC492BA7B653, 33, 0x1C69B3F74AC4AE35, 27),
    ]
    positions, lengths = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03), (0xABC98388FB8FAC03, 0x8CB92BA72F3D8DD7)
    nulls = (0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)

    def mix(word, lane):
        first, one, second, two, third = constants[lane]
        word = ((word ^ (word >> first)) * one) & mask
        word = ((word ^ (word >> second)) * two) & mask
        return word ^ (word >> third)

    def word(value, lane):
        if value is None:
            return nulls[lane]
        if isinstance(value, int):
            return value & mask
        content = value.encode()
        parts = [int.from_bytes(content[at : at + 8], "little") for at in range(0, max(1, len(content)), 8)]
        mixed = sum(mix((part + at * positions[lane]) & mask, lane) for at, part in enumerate(parts))
        return (mixed + len(content) * lengths[lane]) & mask

    kinds = {"n": "integer", "s": "string"}
    total = 0
    for row in rows:
        sums = [0, 0]
        for name, kind in kinds.items():
            seeds = hashlib.sha256(f'["fp/1","{name}","{kind}"]'.encode()).digest()
            for lane in (0, 1):
                seed = int.from_bytes(seeds[8 * lane : 8 * lane + 8], "little")
                sums[lane] = (sums[lane] + mix(word(row[name], lane) ^ seed, lane)) & mask
        turned = ((sums[1] << 32) | (sums[1] >> 32)) & mask
        low = mix((sums[0] + turned) & mask, 0)
        total += low + (mix(sums[1] ^ low, 1) << 64)
    record = {
        "columns": sorted(kinds.items()),
        "format": "fp/1",
        "rows": len(rows),
        "sum": f"{total % 2**128:032x}",
    }
    return "sha256:" + hashlib.sha256(json.dumps(record, separators=(",", ":")).encode()).hexdigest()


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "n": st.none() | st.integers(-(2**63), 2**63 - 1),
                "s": st.none() | st.text(st.characters(codec="utf-8"), max_size=40),
            }
        )
    )
)
@settings(deadline=None)
def test_the_definition_carried_out_in_plain_python_gives_the_same_digest(rows):
    table = pa.Table.from_pylist(rows, pa.schema({"n": pa.int64(), "s": pa.string()}))
    assert digest(table) == plain_digest(rows)


SHAPE = st.tuples(st.integers(0, 3000), st.sampled_from("aé\0"))


@given(st.lists(st.none() | SHAPE, min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_texts_of_any_lengths_side_by_side_give_the_digest_of_the_definition(shapes):
    rows = [
        {"n": place, "s": None if shape is None else f"{place}{shape[1] * shape[0]}"}
        for place, shape in enumerate(shapes)
    ]
    table = pa.Table.from_pylist(rows, pa.schema({"n": pa.int64(), "s": pa.string()}))
    assert digest(table) == plain_digest(rows)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 20), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_texts_that_repeat_often_seldom_or_never_have_one_digest_however_encoded(rows, distinct, size, rng):
    texts = [f"{rng.randrange(distinct)}{'x' * size}" if rng.random() < 0.9 else None for _ in range(rows)]
    column = pa.array(texts, pa.string())
    encoded = [column.dictionary_encode(), column.cast(pa.large_string()), column.cast(pa.string_view())]
    assert {digest(pa.table({"a": other})) for other in encoded} == {of(texts, pa.string())}


def test_what_lies_under_a_null_does_not_count():
    """Arrow lets a missing value keep bytes of its own in the buffer."""
    buffers = [pa.array([True, False, True]).buffers()[1], pa.array([0, 1, 9], pa.int32()).buffers()[1]]
    offsets = pa.array([0, 1, 9, 10], pa.int32()).buffers()[1]
    texts = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"ahidden!!b"), buffers[0])
    assert digest(pa.table({"a": texts})) == of(["a", None, "b"])
    numbers = pa.Array.from_buffers(pa.int32(), 3, buffers)
    assert digest(pa.table({"a": numbers})) == of([0, None, 9])


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(-(2**31), 2**31 - 1))
@settings(deadline=None)
def test_a_wider_type_of_the_same_number_changes_nothing_and_the_next_number_does(x, n):
    narrow = pa.table({"x": pa.array([x], pa.float32()), "n": pa.array([n], pa.int32())})
    wide = pa.table({"x": pa.array([x], pa.float64()), "n": pa.array([n], pa.int64())})
    assert digest(narrow) == digest(wide)
    assert digest(wide.set_column(0, "x", pa.array([np.nextafter(x, np.inf)]))) != digest(wide)
    assert digest(wide.set_column(1, "n", pa.array([n + 1]))) != digest(wide)


def test_the_digest_on_record_stays():
    table = pa.table({"a": pa.array([1, None, -3]), "b": ["x", "", "a text of more than eight bytes"]})
    assert digest(table) == "sha256:f7e5e4f9f08fe03f50a1dd6001ab2694543602f73d07f499919f26ad07a7a071"


def test_no_two_of_many_random_rows_share_a_digest():
    rng = random.Random(0)
    rows = {(rng.randrange(1000), rng.choice("abc")) for _ in range(2_000)}
    digests = {digest(pa.table({"a": [a], "b": [b]})) for a, b in rows}
    assert len(digests) == len(rows)


def test_a_nested_column_is_refused_by_name():
    with pytest.raises(
        DatasetError, match=r"column 'v' is list<.*no canonical form.*flatten it into columns"
    ):
        fingerprint_table(pa.table({"v": [[1.0]]}))


def test_a_column_named_twice_is_refused():
    with pytest.raises(DatasetError, match="columns named twice: a"):
        fingerprint_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_a_time_beyond_microseconds_is_refused():
    with pytest.raises(DatasetError, match="beyond what microseconds can hold"):
        of([2**62], pa.timestamp("s"))


def test_a_batch_of_other_columns_is_refused():
    fingerprint = Fingerprint(pa.schema({"a": pa.int64()}))
    with pytest.raises(DatasetError, match=r"expected columns \{'a': 'integer'\}, found \{'a': 'string'\}"):
        fingerprint.update(pa.table({"a": ["x"]}))


def test_a_folders_manifest_names_every_file_by_its_content(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.bin").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    assert folder_manifest(tmp_path) == {
        "a": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sub/b.bin": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_in_a_folder_is_refused(tmp_path, target):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(ModelError, match="link: is a link or no regular file"):
        folder_manifest(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="gone: no such folder"):
        folder_manifest(tmp_path / "gone")
