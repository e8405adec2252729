"""Where a project's settings file is: its root, its environments, and the one that was chosen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from stoker.errors import ConfigurationError

FOLDER: Final = "config"
DEFAULT_ENVIRONMENT: Final = "development"
_USUAL: Final = {"development", "test", "testing", "staging", "production"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def find_root(start: Path) -> Path:
    """Give the nearest folder upwards from a file or folder that has a ``pyproject.toml`` or a ``config`` folder.

    Where there is none, the folder of ``start`` itself.
    """
    start = start.absolute()
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / "pyproject.toml").is_file() or (candidate / FOLDER).is_dir():
            return candidate
    return folder


def find_file(root: Path, environment: str, *, chosen: bool) -> Path | None:
    """Give the settings file of an environment, ``NAME.local.yaml`` before ``NAME.yaml``; None where there is none.

    Raises ConfigurationError when the project has files for other environments only. Unless somebody ``chosen`` the
    environment, a YAML file of an unusual name is taken for something else.
    """
    if not _NAME.fullmatch(environment):
        raise ConfigurationError(f"environment {environment!r}: a name has letters, digits, '.', '_' and '-' only")
    folder = root / FOLDER
    for name in (f"{environment}.local.yaml", f"{environment}.yaml"):
        if (folder / name).is_file():
            return folder / name
    if (folder / f"{environment}.yml").is_file():
        raise ConfigurationError(f"{FOLDER}/{environment}.yml: settings files end in .yaml; rename it")
    existing = sorted({path.name.removesuffix(".yaml").removesuffix(".local") for path in folder.glob("*.yaml")})
    if existing := [name for name in existing if chosen or name in _USUAL]:
        raise ConfigurationError(
            f"no settings for environment {environment!r}: {folder} has {', '.join(existing)}; "
            f"choose one with -e or STOKER_ENV, or add {FOLDER}/{environment}.yaml"
        )
    return None
