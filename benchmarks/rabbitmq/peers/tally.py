"""Counts the jobs that this worker has performed, and writes down how fast the last came after the first."""

import itertools
import os
import time
from pathlib import Path

_LAST = int(os.environ.get("PEER_JOBS", "0"))
_numbers = itertools.count(1)
_began: list[float] = []


def count() -> None:
    """Note one more; what is run twice makes the tally end too early, and leaves jobs, which is refused."""
    number = next(_numbers)
    if number == 1:
        _began.append(time.perf_counter())
    elif number == _LAST:
        took = time.perf_counter() - _began[0]
        part = Path(os.environ["PEER_TALLY"] + ".part")
        part.write_text(str(took))
        part.replace(os.environ["PEER_TALLY"])
