"""One seed for every generator that a training may draw from.

Importing torch takes seconds, and most models need none: it is seeded as the training imports it.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and, once it is imported, torch.

    PYTHONHASHSEED is set by whoever launches us.
    """
    random.seed(seed)
    if importlib.util.find_spec("numpy"):
        import numpy as np

        np.random.seed(seed % 2**32)  # noqa: NPY002 - user code may use the legacy generator
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _SeedsTorch)]
    torch = sys.modules.get("torch")
    if torch is None:
        sys.meta_path.insert(0, _SeedsTorch(seed))
    else:
        torch.manual_seed(seed)


class _SeedsTorch(MetaPathFinder):
    """Finds torch as the other finders do, and has it seeded as soon as it is there."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != "torch" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec("torch")
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Seeding(spec.loader, self)
        return spec


class _Seeding(Loader):
    """The module's own loader, and then the seed."""

    def __init__(self, loader: Loader, finder: _SeedsTorch) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        module.manual_seed(self._finder.seed)
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self._finder]
