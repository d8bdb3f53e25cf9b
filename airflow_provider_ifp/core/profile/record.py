"""The profile of a window: per feature the bins on which later windows are counted, and its own rows on them.

The reference window is profiled once (`core/profile/reference.py`); every later window is only counted on the
reference's bins (`core/profile/counts.py`). The record is JSON, format `ifp.profile/2` (docs/profile.md):

- Numbers: up to 999 edges, the quantiles 0.1%, 0.2% ... 99.9% of all present values, so that the contract's
  deciles (section 9) are among them, to the same float; `deciles` and `tails` say which. Intervals are
  right-closed, the outer two open. A value that alone makes a tenth or more of the present values is an atom:
  it is an edge, has a bin of its own and is counted in no interval. So 0/1 features, constants and
  zero-inflated amounts are compared value by value.
- Categories: one bin for each of the 50 most frequent values, one for the reference's others, one for values
  that the reference does not have.
- Lists (embeddings): the norm and the projections on the reference's first principal axes, each a number.
- What the model answered, on the rows of the holdout, is profiled like a feature.
- Missing values (null, NaN) are counted apart.

25 features of numbers make about half a megabyte.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.feature import STRICT, Feature, ListProfile, Simple

FORMAT: Final = "ifp.profile/2"
# The names under which a model's answers are profiled. All but the first are no column's name, so that a
# feature may be called `score`.
PREDICTION: Final = "prediction"
SCORE: Final = "prediction score"
ERROR: Final = "prediction error"
RIGHT: Final = "right"
WRONG: Final = "wrong"
"""Of a predicted label, its error."""

_Rows = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Profile:
    """The profiled features of a window of `rows` rows, in the order of the dataset's columns.

    `predictions` profile what the model answered on the holdout: `prediction`, `prediction score`, and by how
    much that was wrong: `prediction error`.
    `segments` profile parts of the window by themselves.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    features: tuple[Annotated[Feature, Field(discriminator="kind")], ...]
    rows: _Rows
    predictions: tuple[Annotated[Feature, Field(discriminator="kind")], ...] = ()
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two features of one name."""
        if len({one.name for one in self.measured}) != len(self.measured):
            raise ValueError("two features have the same name")

    @property
    def measured(self) -> tuple[Simple, ...]:
        """What is counted, by name: the features, each list by its measures, and the predictions."""
        found: list[Simple] = []
        for feature in (*self.features, *self.predictions):
            found += feature.measures if isinstance(feature, ListProfile) else (feature,)
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return the record as finite JSON; floats come back bit for bit.

        >>> import numpy as np
        >>> from airflow_provider_ifp.core.profile.reference import profile_numbers
        >>> profile = Profile((profile_numbers("a", np.array([0.0, 0.1, np.nan])),), rows=3)
        >>> Profile.from_json(profile.to_json()) == profile
        True
        """
        return {"format": FORMAT, **self._parts()}

    def _parts(self) -> dict[str, Any]:
        record: dict[str, Any] = {"rows": self.rows}
        for part in ("features", "predictions"):
            record[part] = [_finite(asdict(feature)) for feature in getattr(self, part)]
        if self.segments:
            record["segments"] = [
                {"column": one.column, "value": one.value, "profile": one.profile._parts()}  # noqa: SLF001 - its own kind
                for one in self.segments
            ]
        return record

    @classmethod
    def from_json(cls, record: object, where: str = "profile.json") -> Profile:
        """Read what `to_json` wrote.

        Args:
            record: The decoded JSON.
            where: What the messages call the record, for instance the file's path.

        Raises:
            DatasetError: The record has another format or is damaged; the message names the place.
        """
        again = "make the profile again: `ifp profile DATASET -o profile.json`, or train a new version"
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        if not isinstance(record, dict) or found != FORMAT:
            raise DatasetError(f"{where}: expected a profile in format {FORMAT!r}, found {found!r}; {again}")
        try:
            content = {key: value for key, value in record.items() if key != "format"}
            return _RECORD.validate_json(json.dumps(content))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the record"
            raise DatasetError(f"{where}: damaged profile: {place}: {first['msg']}; {again}") from None
        except TypeError as error:
            raise DatasetError(f"{where}: damaged profile: {error}; {again}") from None


@dataclass(frozen=True, slots=True)
class Segment:
    """The reference's rows with one value in one column, profiled on bins of their own."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    column: str
    value: str
    profile: Profile

    @property
    def name(self) -> str:
        """As findings name it: `region=north`."""
        return f"{self.column}={self.value}"


_RECORD = TypeAdapter(Profile)


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    for of in (record, *record.get("measures", ())):
        if "atoms" in of:
            of["atoms"] = [atom if math.isfinite(atom) else str(atom) for atom in of["atoms"]]
    return record
