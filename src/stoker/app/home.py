"""Where an application is at home: the file that makes it, the folder of that, and the name that comes of both."""

from __future__ import annotations

import sys
from pathlib import Path


def file_of_caller() -> Path | None:
    """Give the first file up the stack that is not stoker's own, if there is one.

    Not that of ``sys.argv[0]``: under uvicorn or gunicorn it is the folder where those are installed.
    """
    frame = sys._getframe(1)  # noqa: SLF001 inspect.currentframe is the same, and costs an import
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "stoker":
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    return Path(file).resolve() if file else None


def default_name(file: Path | None, root: Path) -> str:
    """Name an application that was not given a name: by its project and its module, whatever the folder is called.

    So a deploy into another folder does not rename it.
    """
    module = "main" if file is None else file.parent.name if file.stem in ("__init__", "__main__") else file.stem
    return f"{project}:{module}" if (project := _project(root / "pyproject.toml")) else module


def _project(file: Path) -> str | None:
    import tomllib

    try:
        project = tomllib.loads(file.read_text("utf-8")).get("project", {}).get("name")
    except (OSError, ValueError, AttributeError):
        return None
    return project if isinstance(project, str) else None
