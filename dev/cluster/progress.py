"""One line a step on standard error, with the time it took.

On a terminal the running step counts its seconds; elsewhere (CI, a pipe) a step
that takes long says twice a minute that it still runs.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_print_lock = threading.Lock()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Show that ``what`` is under way, then how long it took or that it failed."""
    started = time.monotonic()
    finished = threading.Event()
    ticker = threading.Thread(target=_tick, args=(what, started, finished), daemon=True)
    ticker.start()
    try:
        yield
    except BaseException:
        _line(what, started, "failed")
        raise
    else:
        _line(what, started, "done")
    finally:
        finished.set()


def say(text: str) -> None:
    """Print one line of progress that is not a step."""
    with _print_lock:
        print(text, file=sys.stderr, flush=True)


def _tick(what: str, started: float, finished: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    start_of_line, end_of_line, pause = ("\r\033[K", "", 1) if terminal else ("", "\n", 30)
    while not finished.wait(pause):
        with _print_lock:
            line = f"{start_of_line}{time.monotonic() - started:7.1f} s  {what} …"
            print(line, end=end_of_line, file=sys.stderr, flush=True)


def _line(what: str, started: float, end: str) -> None:
    start_of_line = "\r\033[K" if sys.stderr.isatty() else ""
    say(f"{start_of_line}{time.monotonic() - started:7.1f} s  {what}: {end}")
