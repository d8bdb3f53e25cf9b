"""One peer's default answer to windows of rows: the share of them that it calls drifted.

    PYTHON_OF_THE_PEER benchmarks/honesty_peers.py evidently|nannyml|alibi DRAWS.npz

Runs in the peer's own environment, so it imports nothing of ours. Defaults as the peers' manuals begin:

- evidently: `DataDriftPreset` for a dataset: drift when half of the columns drift.
- nannyml: `UnivariateDriftCalculator`, Jensen-Shannon for numbers, chunks as long as the window: drift when
  any column alerts.
- alibi: `KSDrift`, p-value .05, Bonferroni over the features.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

HALF: Final = 0.5
warnings.simplefilter("ignore")


def evidently(reference: NDArray[np.float64], current: NDArray[np.float64]) -> Iterator[bool]:
    """Judge each window by the preset's dataset rule."""
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    names = [f"x{index}" for index in range(reference.shape[1])]
    before = Dataset.from_pandas(pd.DataFrame(reference, columns=names))
    for window in current:
        now = Dataset.from_pandas(pd.DataFrame(window, columns=names))
        found = Report([DataDriftPreset()]).run(now, before).dict()
        counted = next(one for one in found["metrics"] if "DriftedColumnsCount" in one["metric_name"])
        yield counted["value"]["share"] >= HALF


def nannyml(reference: NDArray[np.float64], current: NDArray[np.float64]) -> Iterator[bool]:
    """Judge each window as a chunk."""
    import nannyml as nml
    import pandas as pd

    names = [f"x{index}" for index in range(reference.shape[1])]
    rows = current.shape[1]
    calculator = nml.UnivariateDriftCalculator(column_names=names, chunk_size=rows)
    calculator.fit(pd.DataFrame(reference, columns=names))
    frame = pd.DataFrame(current.reshape(-1, len(names)), columns=names)
    found = calculator.calculate(frame).filter(period="analysis").to_df()
    alerts = found.loc[:, [column for column in found.columns if column[-1] == "alert"]]
    yield from alerts.any(axis=1).tolist()[: len(current)]


def alibi(reference: NDArray[np.float64], current: NDArray[np.float64]) -> Iterator[bool]:
    """Judge each window by the corrected test."""
    from alibi_detect.cd import KSDrift

    detector = KSDrift(reference, p_val=0.05)
    for window in current:
        yield bool(detector.predict(window)["data"]["is_drift"])


if __name__ == "__main__":
    draws = np.load(sys.argv[2])
    peer = {"evidently": evidently, "nannyml": nannyml, "alibi": alibi}[sys.argv[1]]
    print(json.dumps(float(np.mean(list(peer(draws["reference"], draws["current"]))))))
