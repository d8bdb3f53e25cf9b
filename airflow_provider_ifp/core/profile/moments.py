"""What the bins of a window do not say about its numbers: sums, extremes, infinities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

# Squares of numbers beyond this overflow: they are counted like infinities.
LARGEST: Final = 1e140

_Rows = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """What bins do not say about the numbers of a window. All floats are finite.

    Attributes:
        finite: rows with a finite number (at most 1e140 in size).
        minus_infinite: rows below that.
        plus_infinite: rows above that.
        under: rows below the reference's smallest number, -infinity included.
        over: rows above the reference's largest number, infinity included.
        sum: of value - centre over the finite ones; `centre` is the reference profile's.
        squares: of (value - centre) squared over the finite ones.
        shortfall: of first edge - value over the finite ones below the first edge of the grid (see
            `NumericProfile.ends`).
        excess: of value - last edge over the finite ones above the last edge of the grid.
        smallest: the smallest finite number; None where there is none.
        largest: the largest finite number; None where there is none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    finite: _Rows = 0
    minus_infinite: _Rows = 0
    plus_infinite: _Rows = 0
    under: _Rows = 0
    over: _Rows = 0
    sum: float = 0.0
    squares: float = 0.0
    shortfall: float = 0.0
    excess: float = 0.0
    smallest: float | None = None
    largest: float | None = None

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite numbers (divided by their count); 0 where there are none."""
        if not self.finite:
            return 0.0
        return math.sqrt(max(0.0, self.squares / self.finite - (self.sum / self.finite) ** 2))

    def __add__(self, other: Moments) -> Moments:
        """Join those of two parts of a window."""
        smallest = [one.smallest for one in (self, other) if one.smallest is not None]
        largest = [one.largest for one in (self, other) if one.largest is not None]
        return Moments(
            finite=self.finite + other.finite,
            minus_infinite=self.minus_infinite + other.minus_infinite,
            plus_infinite=self.plus_infinite + other.plus_infinite,
            under=self.under + other.under,
            over=self.over + other.over,
            sum=self.sum + other.sum,
            squares=self.squares + other.squares,
            shortfall=self.shortfall + other.shortfall,
            excess=self.excess + other.excess,
            smallest=min(smallest, default=None),
            largest=max(largest, default=None),
        )
