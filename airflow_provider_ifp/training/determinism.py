"""What decides whether a training gives the same bits again: threads, and the switches of its libraries.

Asked when the training function has returned, of what is still there to be asked. None: it cannot be told.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_CBWR",
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
)


def determinism_facts() -> dict[str, Any]:
    """The facts of this process; those of torch where it was imported."""
    facts: dict[str, Any] = {
        "python_hash_seed": os.environ.get("PYTHONHASHSEED"),
        **{name.lower(): os.environ.get(name) for name in _VARIABLES},
        "world_size": int(os.environ.get("WORLD_SIZE", "1")),
    }
    torch = sys.modules.get("torch")
    return facts if torch is None else {**facts, **_torch_facts(torch)}


def _torch_facts(torch: Any) -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    return {
        "torch_threads": torch.get_num_threads(),
        "torch_interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "compiled": _compiled(),
        # An autocast block has ended by now, and a data loader is gone: only what was left on is seen.
        "autocast": torch.is_autocast_enabled() or None,
        "data_loader_workers": None,
        # Of a machine without a GPU, a CUDA build's versions would only seem to say something.
        "cuda": torch.version.cuda if gpu else None,
        "cudnn": torch.backends.cudnn.version() if gpu else None,
        "cudnn_deterministic": torch.backends.cudnn.deterministic if gpu else None,
        "cudnn_benchmark": torch.backends.cudnn.benchmark if gpu else None,
        "tf32": _tf32(torch) if gpu else None,
    }


def _tf32(torch: Any) -> dict[str, bool | None]:
    """Whether matrix products and convolutions were allowed 10 bits of mantissa."""
    owners = {"matmul": torch.backends.cuda.matmul, "cudnn": torch.backends.cudnn}
    found: dict[str, bool | None] = {}
    for name, owner in owners.items():
        try:
            found[name] = bool(owner.allow_tf32)
        except RuntimeError:  # torch 2.9 and later refuse to say when the newer switch was used beside this
            found[name] = None
    return found


def _compiled() -> bool | None:
    """Whether torch.compile ran on anything: Dynamo counts the frames that it saw."""
    if "torch._dynamo" not in sys.modules:
        return False
    counters = getattr(sys.modules.get("torch._dynamo.utils"), "counters", None)
    return None if counters is None else counters["frames"]["total"] > 0
