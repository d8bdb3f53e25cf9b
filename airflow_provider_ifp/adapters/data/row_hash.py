"""The arithmetic of `fp/1`: values become words, words are mixed; all rows of a chunk at once.

What the words mean is defined in `fingerprint`. Nothing here may change without
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
# So many texts tell whether a chunk's repeat.
_SAMPLE = 256
_WORD = (1 << 64) - 1
_TAIL_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], dtype=np.uint64)


def hash_cells(column: pa.Array, kind: str, seeds: Lanes) -> Lanes:
    """Mix a column's values with its seeds: two fresh arrays of one word a row."""
    if pa.types.is_dictionary(column.type) and len(column.dictionary) > len(column):
        column = column.dictionary_decode()
    if kind in ("string", "binary", "decimal") and not pa.types.is_dictionary(column.type):
        column = column if kind == "decimal" else column.cast(pa.large_binary())
        # Decimals become text one by one in Python, so each distinct value only once.
        if kind == "decimal" or _repeats(column):
            column = pc.dictionary_encode(column)
    if not pa.types.is_dictionary(column.type):
        return _hash_values(column, kind, seeds)
    # A missing value's cell comes last, where all indices of missing values are sent.
    last = len(column.dictionary)
    distinct = _null_cell(seeds)
    if last:
        hashed = _hash_values(column.dictionary, kind, seeds)
        distinct = np.append(hashed[0], distinct[0]), np.append(hashed[1], distinct[1])
    places = column.indices.cast(pa.int64()).fill_null(last).to_numpy()
    return distinct[0].take(places), distinct[1].take(places)


def _repeats(texts: pa.Array) -> bool:
    """Whether to hash each distinct text once: a guess about time alone, on which no digest depends."""
    sample = texts.slice(0, _SAMPLE)
    return bool(pc.count_distinct(sample).as_py() * 2 < len(sample))


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
    numbers = np.add(values.to_numpy(zero_copy_only=False), 0.0, dtype=np.float64)
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
    """Hash all byte strings at once: eight bytes of each, then the next eight of those that have more."""
    word_at, starts, lengths = _texts(values)
    sizes = lengths.astype(np.uint64)
    lanes = sizes * np.uint64(_LENGTH[0]), sizes * np.uint64(_LENGTH[1])
    shortest, longest = int(lengths.min()), int(lengths.max())
    rows: slice | npt.NDArray[np.int64] = slice(None)
    for begin in range(0, max(1, longest), 8):
        if begin and begin >= shortest:
            rows = np.flatnonzero(lengths > begin)
            if 8 * len(rows) < longest - begin:
                # Few are left, and long: one step a text is fewer than one step a word.
                for row in rows.tolist():
                    _add_rest(lanes, row, word_at[starts[row] :], begin, int(lengths[row]))
                break
        words = word_at[starts[rows] + begin].astype(np.uint64, copy=False)
        if begin + 8 > shortest:
            words &= _TAIL_MASKS[np.minimum(lengths[rows] - begin, 8)]
        for lane, total in enumerate(lanes):
            total[rows] += mix(words + _wrapped(begin // 8 * _POSITION[lane]), lane)
    return lanes


def _add_rest(lanes: Lanes, row: int, word_at: Words, begin: int, end: int) -> None:
    """Add the words of one text from byte `begin` to its end."""
    words = word_at[begin:end:8].astype(np.uint64)
    words[-1] &= _TAIL_MASKS[end - begin - 8 * (len(words) - 1)]
    places = np.arange(begin // 8, begin // 8 + len(words), dtype=np.uint64)
    for lane, total in enumerate(lanes):
        total[row : row + 1] += mix(words + places * np.uint64(_POSITION[lane]), lane).sum()


def _texts(values: pa.Array) -> tuple[Words, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The eight bytes that begin at each byte, as words; where each text starts; how long it is."""
    values = values.cast(pa.large_binary())
    _, offsets_buffer, data = values.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[values.offset : values.offset + len(values) + 1]
    content = b"" if data is None else memoryview(data)[offsets[0] : offsets[-1]]
    # Eight zeros let the last bytes begin a word too.
    padded = np.frombuffer(b"".join((content, bytes(8))), np.uint8)
    word_at = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    return word_at, offsets[:-1] - offsets[0], np.diff(offsets)


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
    # In place, for fresh arrays cost as much as the arithmetic.
    shifted = words >> shift1
    mixed = words ^ shifted
    mixed *= multiplier1
    np.right_shift(mixed, shift2, out=shifted)
    mixed ^= shifted
    mixed *= multiplier2
    np.right_shift(mixed, shift3, out=shifted)
    mixed ^= shifted
    return mixed


def _wrapped(number: int) -> np.uint64:
    return np.uint64(number & _WORD)


def wide_sum(words: Words) -> int:
    """Add up 64-bit words without wrapping; a chunk has few enough rows for its halves."""
    low, high = words & np.uint64(0xFFFFFFFF), words >> np.uint64(32)
    return int(low.sum()) + (int(high.sum()) << 32)
