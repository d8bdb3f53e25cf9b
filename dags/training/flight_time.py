"""How long will a flight be in the air? A small network with embeddings, in plain PyTorch.

The policy `../policies/flight-time.yaml` names this file, and TrainOperator calls `train(run)`. Nothing here
knows of Airflow or MLflow, so the same script can be tried out in a notebook.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

NUMERIC = ["sched_hour", "distance", "block"]
CATEGORICAL = ["carrier", "origin", "dest", "dow"]
LABEL = "air_time"


class FlightTime(nn.Module):
    """Minutes in the air from the schedule.

    The network carries its own preprocessing, so that nobody has to repeat it when it answers: the
    vocabularies, and as buffers the mean and deviation of the numbers and of the label.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        """Size the layers for the training data, and learn its scales.

        Args:
            frame: The training window: features and label.
        """
        super().__init__()
        # Index 0 is kept for what training has never seen, such as a new destination.
        self.vocabularies = {
            name: {value: index for index, value in enumerate(sorted(frame[name].dropna().unique()), start=1)}
            for name in CATEGORICAL
        }
        sizes = [
            (len(vocabulary) + 1, min(16, 2 + len(vocabulary) // 4))
            for vocabulary in self.vocabularies.values()
        ]
        self.embeddings = nn.ModuleList(nn.Embedding(rows, width) for rows, width in sizes)
        self.layers = nn.Sequential(
            nn.Linear(len(NUMERIC) + sum(width for _, width in sizes), 64),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 1),
        )
        for name, columns in {"numbers": NUMERIC, "label": [LABEL]}.items():
            values = torch.tensor(frame[columns].to_numpy(np.float32))
            self.register_buffer(f"{name}_mean", values.mean(dim=0))
            self.register_buffer(f"{name}_std", values.std(dim=0).clamp(min=1e-6))

    def encode(self, frame: pd.DataFrame) -> tuple[Tensor, Tensor]:
        """Turn rows into standardised numbers (n, 3) and indices of categories (n, 4)."""
        device = self.numbers_mean.device
        numbers = torch.tensor(frame[NUMERIC].to_numpy(np.float32), device=device)
        codes = np.stack(
            [frame[name].map(self.vocabularies[name]).fillna(0).to_numpy(np.int64) for name in CATEGORICAL],
            axis=1,
        )
        return (numbers - self.numbers_mean) / self.numbers_std, torch.tensor(codes, device=device)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Answer in standard deviations of the label, one a row."""
        embedded = [embedding(codes[:, column]) for column, embedding in enumerate(self.embeddings)]
        return self.layers(torch.cat([numbers, *embedded], dim=1)).squeeze(1)

    @torch.no_grad()
    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Answer in minutes, one a row of the frame; its label, if there is one, is not looked at."""
        self.eval()
        answers = self(*self.encode(frame)) * self.label_std + self.label_mean
        return answers.double().cpu().numpy()


def train(run: Any) -> None:
    """Train on the run's window, and hand over the model."""
    torch.manual_seed(run.seed)
    frame = run.data("pandas")
    model = FlightTime(frame).to(run.device)
    numbers, codes = model.encode(frame)
    minutes = torch.tensor(frame[LABEL].to_numpy(np.float32), device=run.device)
    target = (minutes - model.label_mean) / model.label_std

    optimizer = torch.optim.Adam(model.parameters(), lr=run.params["learning_rate"])
    shuffle = torch.Generator().manual_seed(run.seed)
    for epoch in range(run.params["epochs"]):
        squared_error = 0.0
        order = torch.randperm(len(frame), generator=shuffle).to(run.device)
        for batch in order.split(run.params["batch_size"]):
            loss = nn.functional.mse_loss(model(numbers[batch], codes[batch]), target[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            squared_error += loss.item() * len(batch)
        rmse = (squared_error / len(frame)) ** 0.5 * model.label_std.item()
        run.log_metric("train_rmse", rmse, step=epoch)

    run.log_model(model)
