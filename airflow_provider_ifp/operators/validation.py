"""Judge a candidate: good enough, and no worse than production, on one holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.operators.gate import GateOperator

if TYPE_CHECKING:
    from airflow_provider_ifp.operators.gate import Gate


class ValidationGateOperator(GateOperator):
    """Hold a candidate against its bounds and against production, both scored now on the same holdout.

    The verdict is recorded (the candidate's run, the promotion ledger, XCom) before the task fails; a gate
    that says no fails at once, without retries. Arguments: `GateOperator`'s.
    """

    def gate(self) -> Gate:
        """Give the validation gate."""
        from airflow_provider_ifp.loop.gates.validate import validate

        return validate
