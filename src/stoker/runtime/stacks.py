"""What every thread of this process is doing just now, for those who look for what hangs."""

from __future__ import annotations

import logging
import sys
import threading
import traceback

log = logging.getLogger("stoker")


def log_stacks() -> None:
    """Log the stack of each thread."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the one way to see them
        stack = "".join(traceback.format_stack(frame))
        log.warning("thread %s:\n%s", names.get(ident, ident), stack)
