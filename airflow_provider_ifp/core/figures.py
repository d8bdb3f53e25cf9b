"""Numbers as a reader wants them: few digits, but never so few that a reason contradicts itself."""

from collections.abc import Sequence
from typing import Final

_ENOUGH: Final = 17
_SMALLEST_PLAIN: Final = 1e-4


def figure(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits; the digits before the point are always kept.

    >>> figure(14.6237), figure(0.871), figure(14.0), figure(123456.7), figure(1e-9), figure(-2.5)
    ('14.62', '0.871', '14', '123457', '1e-09', '-2.5')
    """
    if value and abs(value) < _SMALLEST_PLAIN:
        return f"{value:.{digits}g}"
    before_point = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    leading_zeros = 0 if before_point or not value else -int(f"{value:e}".split("e")[1]) - 1
    text = f"{value:.{max(digits - before_point + leading_zeros, 0)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def figures(values: Sequence[float], digits: int = 4) -> list[str]:
    """Write numbers that stand in one sentence, with as many digits as it takes to tell them apart.

    >>> figures([14.62, 14]), figures([0.88000001, 0.88])
    (['14.62', '14'], ['0.88000001', '0.88'])
    """
    for enough in range(digits, _ENOUGH + 1):
        texts = [figure(value, enough) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [repr(value) for value in values]
