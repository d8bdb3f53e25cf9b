"""The small MLP in LitServe, as its documentation shows it, with batches of up to 64 requests.

    PYTHON_OF_ITS_ENVIRONMENT benchmarks/peer_litserve.py PORT

It skips what ours and MLflow do for a request: a frame of pandas, the signature, names of columns.
"""

import sys
from typing import Any

import litserve
import torch

from small_mlp import small_mlp


class Api(litserve.LitAPI):
    """Answers one row a request."""

    def setup(self, device: str) -> None:
        """Make the model."""
        torch.set_num_threads(1)
        self.model = small_mlp().to(device)

    def decode_request(self, request: dict[str, Any]) -> torch.Tensor:
        """Take the row."""
        return torch.tensor(request["dataframe_split"]["data"][0], dtype=torch.float32)

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Put rows together."""
        return torch.stack(inputs)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Answer them."""
        with torch.no_grad():
            return self.model(x)[:, 0]

    def unbatch(self, output: torch.Tensor) -> list[float]:
        """Take the answers apart."""
        return output.tolist()

    def encode_response(self, output: float) -> dict[str, Any]:
        """Write one."""
        return {"predictions": [output]}


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.001, api_path="/invocations")
    litserve.LitServer(api, accelerator="cpu", healthcheck_path="/ping").run(
        port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
