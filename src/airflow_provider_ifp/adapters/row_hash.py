"""The arithmetic of `fp/1`: values become words, words are mixed; all rows of a chunk at once.

What the words mean is defined in `airflow_provider_ifp.adapters.fingerprint`. Nothing here may change without
a new format, for it would change digests that are on record.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.core.errors import DatasetError

Words: TypeAlias = npt.NDArray[np.uint64]
Lanes: TypeAlias = tuple[Words, Words]

# Shift, multiplier, shift, multiplier, shift: splitmix64 (Steele et al. 2014) and moremur (Evensen 2019).
_FINALIZERS = (
    (30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31),
    (27, 0x3C79AC492BA7B653, 33, 0x1C69B3F74AC4AE35, 27),
)
# Odd constants of no meaning but to tell things apart: positions in a text, lengths, and the words of a null.
_POSITION = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)
_LENGTH = (0xABC98388FB8FAC03, 0x8CB92BA72F3D8DD7)
_NULL = (0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_ABOVE_INT64 = 0xA24BAED4963EE407
_NANOSECOND = 0xE220A8397B1DCDAF
_TAIL_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], dtype=np.uint64)


def hash_cells(column: pa.Array, kind: str, seeds: Lanes) -> Lanes:
    """Mix a column's values with its seeds: two fresh arrays of one word a row."""
    if pa.types.is_dictionary(column.type) and len(column.dictionary) > len(column):
        column = column.dictionary_decode()
    if kind in ("string", "binary", "decimal") and not pa.types.is_dictionary(column.type):
        # Each distinct value is hashed once.
        column = pc.dictionary_encode(column if kind == "decimal" else column.cast(pa.large_binary()))
    if pa.types.is_dictionary(column.type):
        distinct = (
            _hash_values(column.dictionary, kind, seeds) if len(column.dictionary) else _null_cell(seeds)
        )
        column = column.indices
        places = column.fill_null(0).to_numpy(zero_copy_only=False)
        cells = (distinct[0][places], distinct[1][places])
    else:
        cells = _hash_values(column, kind, seeds)
    return _with_nulls(cells, column, seeds)


def _hash_values(values: pa.Array, kind: str, seeds: Lanes) -> Lanes:
    first, second = _WORDS.get(kind, _number_words)(values)
    return _with_nulls((mix(first ^ seeds[0], 0), mix(second ^ seeds[1], 1)), values, seeds)


def _with_nulls(cells: Lanes, column: pa.Array, seeds: Lanes) -> Lanes:
    if column.null_count:
        null = column.is_null().to_numpy(zero_copy_only=False)
        for lane, cell in zip(cells, _null_cell(seeds), strict=True):
            lane[null] = cell
    return cells


def _null_cell(seeds: Lanes) -> Lanes:
    # No number has these two words, since a number's lanes hold the same word.
    return mix(seeds[0] ^ np.uint64(_NULL[0]), 0), mix(seeds[1] ^ np.uint64(_NULL[1]), 1)


def _number_words(values: pa.Array) -> Lanes:
    """Whole numbers, booleans, days since 1970, nanoseconds since midnight; the null type has zeros."""
    found = values.type
    if pa.types.is_uint64(found):
        unsigned = values.fill_null(0).to_numpy()
        # 2**64 - 1 and -1 have the same bits.
        return unsigned, np.where(unsigned >> np.uint64(63), unsigned ^ np.uint64(_ABOVE_INT64), unsigned)
    if pa.types.is_date(found):
        values = values.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_time(found):
        values = values.cast(pa.time64("ns"))
    words = values.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)
    return words, words


def _float_words(values: pa.Array) -> Lanes:
    # Adding 0.0 makes -0.0 positive, and a copy.
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0
    numbers[np.isnan(numbers)] = np.nan
    words = numbers.view(np.uint64)
    return words, words


def _decimal_words(values: pa.Array) -> Lanes:
    """Hash a decimal's text without the zeros of its scale: 1.50 is 1.5."""
    texts = [None if value is None else _plain(value) for value in values.to_pylist()]
    return _text_words(pa.array(texts, pa.large_string()))


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _time_words(values: pa.Array) -> Lanes:
    """Microseconds in both lanes; what is left of nanoseconds joins the second."""
    unit = values.type.unit
    counts = values.cast(pa.int64()).fill_null(0).to_numpy()
    if unit == "ns":
        micros = np.floor_divide(counts, 1000)
        rest = (counts - micros * 1000).astype(np.uint64)
        return micros.view(np.uint64), micros.view(np.uint64) + rest * np.uint64(_NANOSECOND)
    factor = {"s": 10**6, "ms": 10**3, "us": 1}[unit]
    limit = np.iinfo(np.int64).max // factor
    if factor > 1 and len(counts) and (counts.max() > limit or counts.min() < -limit):
        raise DatasetError(
            f"fingerprint: a {values.type} lies beyond what microseconds can hold; is it a placeholder?"
        )
    micros = counts * factor
    return micros.view(np.uint64), micros.view(np.uint64)


def _text_words(values: pa.Array) -> Lanes:
    """Hash all byte strings at once: their 8-byte words lie end to end, and are summed string by string."""
    values = values.cast(pa.large_binary())
    count = len(values)
    _, offsets_buffer, data = values.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[values.offset : values.offset + count + 1]
    lengths = np.diff(offsets)
    words_each = np.maximum(1, (lengths + 7) // 8)
    first = np.cumsum(words_each) - words_each
    position = np.arange(words_each.sum()) - np.repeat(first, words_each)
    start = np.repeat(offsets[:-1], words_each) + 8 * position
    left = np.clip(np.repeat(lengths, words_each) - 8 * position, 0, 8)
    # Every byte begins an overlapping word; eight zeros let the last bytes begin one too.
    padded = np.frombuffer((b"" if data is None else data.to_pybytes()) + bytes(8), np.uint8)
    overlapping = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    words = overlapping[start].astype(np.uint64) & _TAIL_MASKS[left]
    sizes, places = lengths.astype(np.uint64), position.astype(np.uint64)
    lanes = [
        np.add.reduceat(mix(words + places * np.uint64(_POSITION[lane]), lane), first)
        + sizes * np.uint64(_LENGTH[lane])
        for lane in (0, 1)
    ]
    return lanes[0], lanes[1]


_WORDS: dict[str, Callable[[pa.Array], Lanes]] = {
    "string": _text_words,
    "binary": _text_words,
    "decimal": _decimal_words,
    "float": _float_words,
    "timestamp": _time_words,
    "timestamp[utc]": _time_words,
    "duration": _time_words,
}


def mix(words: Words, lane: int) -> Words:
    """Scramble words, a bijection of 64 bits; each lane has its own."""
    shift1, multiplier1, shift2, multiplier2, shift3 = (np.uint64(number) for number in _FINALIZERS[lane])
    mixed = words ^ (words >> shift1)
    mixed *= multiplier1
    mixed ^= mixed >> shift2
    mixed *= multiplier2
    mixed ^= mixed >> shift3
    return mixed


def wide_sum(words: Words) -> int:
    """Add up 64-bit words without wrapping; a chunk has few enough rows for its halves."""
    low, high = words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)
    return int(low.sum()) + (int(high.sum()) << 32)
