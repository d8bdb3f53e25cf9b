"""The trainer's process: what it is given, what of it is heard, and that nothing of it is left behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from textwrap import dedent
from threading import Thread

import psutil
import pytest

from airflow_provider_ifp.adapters.launch.local import LocalLauncher
from airflow_provider_ifp.adapters.launch.process_tree import end_trees
from airflow_provider_ifp.adapters.launch.user_environment import user_environment
from airflow_provider_ifp.adapters.registry.mlflow.auth import held_address
from airflow_provider_ifp.core.errors import TrainingError
from airflow_provider_ifp.training.spec import Spec

SLEEP = "import time; print('up', flush=True); time.sleep(99)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
TREE = """
    import os, signal, subprocess, sys, time

    def start(code, **options):
        child = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, **options)
        child.stdout.readline()
        return child.pid
"""


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """Writes a script and its spec; the trainer's interpreter has no torch, which takes seconds to import."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def write(code):
        script = tmp_path / "script.py"
        script.write_text(dedent(TREE) + dedent(code))
        return Spec(
            model="m", entrypoint=str(script), checkpoints=str(tmp_path), output=str(tmp_path)
        ).write()

    return write


def run(spec, launcher=None, *, seed=7, timeout=None, on_line=None, on_pause=None):
    lines = []
    code = (launcher or LocalLauncher()).run(
        spec,
        seed=seed,
        timeout=timeout,
        on_line=on_line or lines.append,
        on_pause=on_pause or (lambda: None),
    )
    return code, lines


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


@pytest.fixture
def leader(tmp_path):
    """Starts a process that leads a session of its own; answers with it and the ids that it wrote."""
    started = []

    def start(code):
        file = tmp_path / f"leader-{len(started)}.py"
        file.write_text(dedent(TREE) + dedent(code))
        process = subprocess.Popen(
            [sys.executable, "-S", file], start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, [int(pid) for pid in process.stdout.readline().split()]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_tree_ends_with_its_deaf_grandchildren_and_those_in_sessions_of_their_own(leader):
    process, pids = leader(f"""
        middle = '''
        import subprocess, sys, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-S", "-c", {DEAF!r}], stdout=subprocess.PIPE,
            start_new_session=True)
        child.stdout.readline()
        print(child.pid, flush=True)
        time.sleep(99)
        '''
        import textwrap
        middle = subprocess.Popen(
            [sys.executable, "-S", "-c", textwrap.dedent(middle)], stdout=subprocess.PIPE, text=True
        )
        print(middle.pid, middle.stdout.readline().strip(), start({SLEEP!r}), flush=True)
        time.sleep(99)
    """)
    assert len(pids) == 3
    assert all(lives(pid) for pid in pids)
    started = time.monotonic()
    end_trees(process.pid)
    assert not any(lives(pid) for pid in [process.pid, *pids])
    assert process.wait() == -signal.SIGTERM
    assert time.monotonic() - started < 4.5  # Airflow kills a task five seconds after it asked it to stop.


def test_a_tree_that_obeys_is_not_waited_for(leader):
    process, pids = leader(f"print(start({SLEEP!r}), flush=True); time.sleep(99)")
    started = time.monotonic()
    end_trees(process.pid)
    assert not any(lives(pid) for pid in [process.pid, *pids])
    assert time.monotonic() - started < 1.5


def test_an_orphan_whose_parent_is_gone_is_found_by_its_session(leader):
    process, [orphan] = leader(f"print(start({SLEEP!r}), flush=True)")
    process.wait()
    assert lives(orphan)
    end_trees(process.pid)
    assert not lives(orphan)


def test_several_trees_end_at_once_and_others_stay(leader):
    code = f"print(start({SLEEP!r}), flush=True); time.sleep(99)"
    (one, [first]), (two, [second]), (bystander, [third]) = leader(code), leader(code), leader(code)
    end_trees(one.pid, two.pid)
    assert not any(lives(pid) for pid in (one.pid, first, two.pid, second))
    assert lives(bystander.pid)
    assert lives(third)
    end_trees(bystander.pid)


def test_ending_what_has_ended_is_no_error(leader):
    process, _ = leader("print(flush=True)")
    process.wait()
    end_trees(process.pid)


def test_lines_reach_the_task_as_they_are_printed_and_the_exit_code_too(launched):
    spec = launched("""
        import os, sys
        print("first\\nsecond")
        os.write(2, b"told on standard error\\n")
        os.write(1, b"no \\xff UTF-8\\n")
        os.write(1, b"without an end")
        os._exit(7)
    """)
    pauses = []
    code, lines = run(spec, on_pause=lambda: pauses.append(1))
    assert code == 7
    assert lines == [
        "first",
        "second",
        "told on standard error",
        "no \N{REPLACEMENT CHARACTER} UTF-8",
        "without an end",
    ]
    assert pauses


def test_the_trainer_is_seeded_and_gets_no_credentials_of_the_registry(launched, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    monkeypatch.setenv("AIRFLOW_CONN_IFP_DEFAULT", "http://ada:secret@registry")
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    spec = launched("""
        import os
        secrets = [key for key in os.environ if "_TRACKING_" in key or "_CONN_" in key]
        print(os.environ["PYTHONHASHSEED"], hash("a text"), secrets)
        os._exit(0)
    """)
    (_, [one]), (_, [two]) = run(spec, seed=11), run(spec, seed=12)
    assert one.split()[0::2] == ["11", "[]"]
    assert two.split()[0] == "12"
    assert one.split()[1] != two.split()[1]
    expected = subprocess.run(
        [sys.executable, "-c", "print(hash('a text'))"],
        env={**os.environ, "PYTHONHASHSEED": "11"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert one.split()[1] == expected.stdout.strip()


def test_no_process_of_a_training_has_the_registrys_password_in_its_arguments_or_environment(
    launched, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "the-environments-password")
    monkeypatch.setenv("AIRFLOW_CONN_IFP_DEFAULT", "http://ada:the-connections-password@registry")
    held_address("http://mlflow:5000", "ada", "the-registrys-password")
    spec = launched(f"""
        print(os.getpid(), start({SLEEP!r}, start_new_session=True))
        time.sleep(99)
    """)
    launcher, seen = LocalLauncher(), {}

    def look(line):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.ZombieProcess):  # another test's, which ended and is not waited for
                seen[process.pid] = f"{process.cmdline()} {process.environ()}"
        seen["trainers"] = {int(pid) for pid in line.split()}
        launcher.kill()

    run(spec, launcher, on_line=look)
    assert seen.pop("trainers") <= seen.keys()
    assert not [text for text in seen.values() if "-password" in text]


def test_the_environment_keeps_what_the_user_set_and_takes_any_seed():
    given = {"PATH": "/bin", "CUBLAS_WORKSPACE_CONFIG": ":16:8", "MLFLOW_TRACKING_TOKEN": "t"}
    made = user_environment(given, -1)
    assert made == {
        "PATH": "/bin",
        "CUBLAS_WORKSPACE_CONFIG": ":16:8",
        "PYTHONHASHSEED": str(2**32 - 1),
        "PYTHONUNBUFFERED": "1",
    }
    assert user_environment({}, 0)["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_the_trainer_finds_the_modules_that_its_task_finds(launched, tmp_path, monkeypatch):
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "trains_beside_dags.py").write_text("import os\n\n\ndef train(run):\n    os._exit(3)\n")
    monkeypatch.syspath_prepend(str(folder))
    launched("")
    spec = Spec(
        model="m",
        entrypoint="trains_beside_dags:train",
        checkpoints=str(tmp_path),
        output=str(tmp_path),
    )
    assert run(spec.write())[0] == 3


def test_training_past_its_timeout_is_killed_with_all_that_it_started(launched, tmp_path):
    spec = launched(f"""
        print(os.getpid(), start({DEAF!r}, start_new_session=True))
        time.sleep(99)
    """)
    lines = []
    with pytest.raises(TrainingError, match=r"longer than train\.timeout allows, and was killed"):
        run(spec, timeout=timedelta(seconds=2.5), on_line=lines.append)
    pids = [int(pid) for pid in lines[0].split()]
    assert len(pids) == 2
    assert not any(lives(pid) for pid in pids)
    assert not (tmp_path / "result.json").exists()


def test_a_killed_task_ends_its_training_which_tells_the_signal(launched):
    spec = launched("import os, time\nprint(os.getpid())\ntime.sleep(99)")
    launcher, lines, codes = LocalLauncher(), [], []
    thread = Thread(target=lambda: codes.append(run(spec, launcher, on_line=lines.append)[0]))
    thread.start()
    assert wait_until(lambda: lines)
    launcher.kill()
    thread.join(timeout=10)
    assert codes == [-signal.SIGTERM]
    assert not lives(int(lines[0]))


def test_a_task_that_is_interrupted_leaves_no_training_behind(launched):
    spec = launched("import os, time\nprint(os.getpid())\ntime.sleep(99)")
    lines = []

    def interrupt(line):
        lines.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(spec, on_line=interrupt)
    assert not lives(int(lines[0]))


def test_a_trainer_that_prints_no_more_is_waited_for_until_its_end_or_its_timeout(launched):
    spec = launched("""
        os.close(1)
        os.close(2)
        time.sleep(1)
        os._exit(5)
    """)
    assert run(spec) == (5, [])
    with pytest.raises(TrainingError, match="was killed"):
        run(spec, timeout=timedelta(seconds=0.6))


def test_a_task_that_is_killed_outright_takes_its_training_with_it(launched):
    spec = launched("print(os.getpid())\ntime.sleep(99)")
    task = f"""
        from pathlib import Path
        from airflow_provider_ifp.adapters.launch.local import LocalLauncher

        say = lambda line: print(line, flush=True)
        LocalLauncher().run(Path({str(spec)!r}), seed=7, on_line=say, on_pause=lambda: None)
    """
    process = subprocess.Popen([sys.executable, "-c", dedent(task)], stdout=subprocess.PIPE, text=True)
    with process:
        trainer = int(process.stdout.readline())
        assert lives(trainer)
        process.kill()
    assert wait_until(lambda: not lives(trainer))


def test_a_child_that_keeps_the_pipe_open_does_not_keep_the_task(launched):
    spec = launched("""
        import os, subprocess
        print(subprocess.Popen(["sleep", "99"]).pid)
        os._exit(0)
    """)
    started = time.monotonic()
    code, [pid] = run(spec)
    assert code == 0
    assert time.monotonic() - started < 8
    assert not lives(int(pid))


def test_killing_what_was_never_started_is_no_error():
    LocalLauncher().kill()
