"""A floor or a ceiling for one metric: what the absolute gate holds a candidate against."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bound:
    """`min_<metric>` and `max_<metric>` of a policy; both ends are inclusive.

    Attributes:
        metric: name of the metric, in the metric's own unit.
        minimum: the smallest value that passes; None: no floor.
        maximum: the largest value that passes; None: no ceiling.

    >>> Bound("f1", minimum=0.88)
    Bound(metric='f1', minimum=0.88, maximum=None)
    """

    metric: str
    minimum: float | None = field(default=None, kw_only=True)
    maximum: float | None = field(default=None, kw_only=True)
