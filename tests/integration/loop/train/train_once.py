"""Train as TrainOperator does, and print the outcome: python train_once.py URI HOME MODEL NUMBER."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_ifp.adapters.launch.local import LocalLauncher
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.loop.train.claim import Patience
from airflow_provider_ifp.loop.train.training import Order, train


def main(uri, home, model, number):
    logging.basicConfig(level=logging.INFO)
    policy = Policy.from_json(
        {
            "model": model,
            "data": {
                "source": "data",
                "time_column": "ts",
                "label": "y",
                "key": ["request_id"],
                "train_window": "20d",
                "holdout_window": "5d",
            },
            "train": {"entrypoint": "entrypoint_linear.py", "seed": 7, "params": {"mishap": "naps"}},
        },
        folder=Path(home),
    )
    order = Order(
        policy=policy,
        now=datetime(2024, 2, 1, tzinfo=UTC),
        work=Path(home, f"work-{number}"),
        checkpoints=Path(home, f"checkpoints-{number}"),
        owner=f"task {number}",
        nonce=f"task {number}, try 1",
        patience=Patience(look=0.2, beat=0.3, dead=3.0),
    )
    sys.stdout.write(json.dumps(train(MlflowRegistry(uri), order, LocalLauncher())) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
