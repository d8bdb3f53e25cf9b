"""Did a version see the holdout while it was trained? Then its metrics there say nothing of other days."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_ifp.core.registry.verdict import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What the holdout has in common with the rows that a version was trained on.

    Attributes:
        who: `the candidate` or `production version 3`.
        rows: Rows of the holdout.
        late: Training rows from the holdout's start on.
        keys: Rows of the holdout whose key is among the training's; None: rows have no key.
        equal: Rows of the holdout that are equal to a training row in all columns; None: keys tell.
    """

    who: str
    rows: int
    late: int
    keys: int | None = None
    equal: int | None = None

    def checks(self) -> tuple[Check, ...]:
        """Return a failed check for each leak, in numbers; none where there is none.

        >>> found = Overlap(who="the candidate", rows=600, late=0, keys=12)
        >>> found.checks()[0].reason
        "12 of the holdout's 600 keys are in the training data of the candidate; split them by time"
        """
        told = []
        if self.late:
            told.append(
                f"{self.late:,} training rows of {self.who} are from the holdout's own time; let "
                "data.train_window end where the holdout begins"
            )
        if self.keys:
            told.append(
                f"{self.keys:,} of the holdout's {self.rows:,} keys are in the training data of {self.who}; "
                "split them by time"
            )
        return tuple(Check(name="leakage", rows=self.rows, verdict="fail", reason=reason) for reason in told)

    def warnings(self) -> tuple[str, ...]:
        """Return what may be a leak, and may be chance: equal rows that have no key."""
        if not self.equal:
            return ()
        told = (
            f"{self.equal:,} of the holdout's {self.rows:,} rows are equal, in all columns, to training rows "
            f"of {self.who}; name data.key to tell repeated rows from leaked ones"
        )
        return (told,)
