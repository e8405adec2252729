"""A project folder to write settings files into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def write(root: Path) -> Callable[..., Path]:
    """Write a settings file: ``write(text)`` for development, ``write(text, "production")``."""

    def write(text: str, environment: str = "development") -> Path:
        file = root / "config" / f"{environment}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    return write
