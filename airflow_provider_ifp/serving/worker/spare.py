"""The spare: an interpreter whose imports are done, from which the process of each version is forked.

    python -m airflow_provider_ifp.serving.worker.spare FD

Importing MLflow, pandas and torch takes seconds, and CPU that the version in production needs while another
one is put in its place; a fork takes milliseconds. The spare itself never opens a model. It takes one
message, on the socket that it inherits as FD: a byte with a socket for a new worker.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys
import traceback
import warnings

from airflow_provider_ifp.adapters.launch.process_tree import end_with_parent

_OPTIONAL = ("torch", "safetensors.torch", "sklearn")
_TICK_SECONDS = 0.5


def main(fd: int) -> int:
    """Fork a worker for each socket that comes, until the front closes ours."""
    end_with_parent()
    _import_all()
    with socket.socket(fileno=fd) as control:
        control.sendall(b"r")
        while True:
            _reap()
            if not select.select([control], [], [], _TICK_SECONDS)[0]:
                continue
            data, fds, _, _ = socket.recv_fds(control, 1, 1)
            if not data:
                return 0
            for received in fds:
                _fork(control, received)


def _import_all() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries about each other; the model's own are shown
        importlib.import_module("airflow_provider_ifp.serving.worker.process")
        importlib.import_module("airflow_provider_ifp.training.pyfunc")
        for name in _OPTIONAL:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is here already is shared by all workers and never looked at again


def _fork(control: socket.socket, received: int) -> None:
    if os.fork() != 0:
        os.close(received)
        return
    code = 1
    try:
        end_with_parent()
        control.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        from airflow_provider_ifp.serving.worker.process import run_worker

        with socket.socket(fileno=received) as connection:
            run_worker(connection)
        code = 0
    except (BrokenPipeError, ConnectionResetError):
        code = 0  # the front is gone
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as a second spare
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _reap() -> None:
    """Tell of workers that ended by themselves."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if code:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                logging.getLogger(__name__).warning("worker process %d ended by %s", pid, how)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="ifp: %(message)s")
    sys.exit(main(int(sys.argv[1])))
