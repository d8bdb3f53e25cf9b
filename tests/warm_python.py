"""A Python that has imported MLflow already, for tests that start many trainers and scorers.

`python -m module ...` takes two seconds of CPU before it does anything, nearly all of it in `import mlflow`.
Here one process has imported what trainers and scorers import, and each start is a fork of it: a process of
its own, with the environment, folder and output that it was given, which ends when whoever started it ends.
Tests of what only a fresh interpreter has (a hash seed of its own, an answer to SIGTERM) start a real one.
"""

from __future__ import annotations

import marshal
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import traceback
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENT = """\
#!{python} -ISE
import marshal, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    wish = marshal.dumps((sys.argv[1:], os.getcwd(), dict(os.environ)))
    socket.send_fds(server, [len(wish).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(wish)
    status = int(server.makefile().readline())
if os.WIFSIGNALED(status):
    os.kill(os.getpid(), os.WTERMSIG(status))
sys.exit(os.WEXITSTATUS(status))
"""


@contextmanager
def running_warm_python(folder: Path) -> Iterator[str]:
    """Hold the process for as long as the block runs; gives the path of the program that calls it."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"\0ifp-warm-{uuid.uuid4().hex}"  # in no folder: paths may be too long for a socket
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        command = [sys.executable, __file__, str(listener.fileno())]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()], stdin=subprocess.PIPE)
    client = folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o700)
    with server:
        yield str(client)
        server.kill()


def serve(listener: socket.socket) -> None:
    """Fork for each caller, for ever."""
    import mlflow.pyfunc  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    import airflow_provider_ifp.adapters.code.environment
    import airflow_provider_ifp.training.model_files
    import airflow_provider_ifp.training.pyfunc
    import airflow_provider_ifp.training.registration
    import airflow_provider_ifp.training.signature
    import airflow_provider_ifp.training.track  # noqa: F401
    from airflow_provider_ifp.adapters.launch.process_tree import end_with_parent

    end_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those who mind the jobs need nobody who waits for them
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _mind(caller)
        caller.close()


def _mind(caller: socket.socket) -> NoReturn:
    """Start the job and tell the caller how it ended; a caller that is gone ends it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, outputs, _, _ = socket.recv_fds(caller, 8, 3)
    with caller.makefile("rb") as wishes:
        words, folder, environment = marshal.loads(wishes.read(int.from_bytes(size, "big")))
    job = os.fork()
    if job == 0:
        caller.close()
        _run(words, folder, environment, outputs)
    ended = os.pidfd_open(job)
    ready, _, _ = select.select([caller, ended], [], [])
    if ended not in ready:
        os.killpg(job, signal.SIGKILL)
    _, status = os.waitpid(job, 0)
    if ended in ready:
        caller.sendall(f"{status}\n".encode())
    os._exit(0)


def _run(words: list[str], folder: str, environment: dict[str, str], outputs: list[int]) -> NoReturn:
    """What `python -m words` does."""
    os.setsid()
    for number, given in enumerate(outputs):
        os.dup2(given, number)
        os.close(given)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    flag, module, *sys.argv[1:] = words
    assert flag == "-m", f"only `python -m module` is served, not {words}"
    searched = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [folder, *filter(None, searched), *(path for path in sys.path if path not in searched)]
    sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    random.seed()
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as an interpreter would
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
