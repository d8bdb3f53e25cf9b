"""What `entrypoint_wobbly` imports: chance that no seed reaches, and an end when it is asked for."""

import os
import signal

import numpy as np


def noise(count):
    if os.environ.get("WOBBLE") == "vanishes":
        os.kill(os.getpid(), signal.SIGKILL)
    return np.random.default_rng().normal(size=count)
