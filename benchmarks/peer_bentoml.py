"""The small MLP in BentoML, as its documentation shows it, with its adaptive batching.

    bentoml serve peer_bentoml:Mlp --working-dir benchmarks --port PORT

It skips what ours and MLflow do for a request: a frame of pandas, the signature, names of columns. Its body
is `{"rows": [[...]]}`: what it batches must be one array.
"""

from typing import Annotated

import bentoml
import numpy as np
import torch
from bentoml.validators import DType, Shape

from small_mlp import small_mlp


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, endpoints={"livez": "/ping"})
class Mlp:
    """Answers arrays of rows."""

    def __init__(self) -> None:
        """Make the model."""
        torch.set_num_threads(1)
        self.model = small_mlp()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000, route="/invocations")
    def predict(self, rows: Annotated[np.ndarray, Shape((-1, 10)), DType("float32")]) -> np.ndarray:
        """Answer rows, shape (n, 10), with shape (n, 1)."""
        with torch.no_grad():
            return self.model(torch.from_numpy(rows)).numpy()
