"""The keeper's process: ends the services of a demo when the demo has ended, however it ended.

The demo holds the other end of this process's standard input and writes the id of each process that it
starts, one a line. When that pipe closes, at the end, at Ctrl-C, or because the demo was killed, every
process that was named is ended with all that it started.
"""

import signal
import sys

from airflow_provider_ifp.adapters.launch.process_tree import end_trees


def main() -> None:
    """Read process ids until the pipe closes, then end them."""
    # Whoever stops the demo from a terminal must not stop the one that cleans up after it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_trees(*(int(line) for line in sys.stdin))


if __name__ == "__main__":
    main()
