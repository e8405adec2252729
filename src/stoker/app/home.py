"""Where an application is at home: the folder of the file that makes it."""

from __future__ import annotations

import sys
from pathlib import Path


def home_of_caller() -> Path:
    """Give the folder of the first file up the stack that is not stoker's own; where there is none, the current one.

    Not that of ``sys.argv[0]``: under uvicorn or gunicorn it is the folder where those are installed.
    """
    frame = sys._getframe(1)  # noqa: SLF001 inspect.currentframe is the same, and costs an import
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "stoker":
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    return Path(file).resolve().parent if file else Path.cwd()
