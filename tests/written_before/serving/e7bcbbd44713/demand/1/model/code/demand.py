"""The entrypoint of `policy.yaml`: a line, of which each weight is `scale` times the one that fits."""

import numpy as np


class Line:
    """Answers without BLAS, whose last digits differ from machine to machine."""

    def __init__(self, weights):
        self.weights = weights

    def predict(self, frame):
        one, x, z, north = self.weights
        return one + x * frame["x"] + z * frame["z"] + north * (frame["region"] == "north")


def train(run):
    frame = run.data("pandas")
    north = (frame["region"] == "north").to_numpy(dtype=float)
    columns = np.column_stack([np.ones(len(frame)), frame["x"], frame["z"], north])
    fitted = np.linalg.lstsq(columns, frame["y"].to_numpy(), rcond=None)[0]
    scale = float(run.params.get("scale", 1.0))
    run.log_metric("scale", scale)
    run.log_model(Line([round(float(weight) * scale, 6) for weight in fitted]))
    run.register(tags=["team=x"])
