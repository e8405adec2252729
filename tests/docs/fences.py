"""Finds the Python examples in a Markdown page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<info>[^`\n]*)\n(?P<code>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
_PYTHON = re.compile(r"\s*(?:\{\s*\.)?python\b")
_TITLE = re.compile(r'title="([^"]+\.py)"')
_OUTPUT = re.compile(r'\s*text\b.*title="output"')


class Example(NamedTuple):
    """One fenced block of Python."""

    page: Path
    line: int
    """Of the page, where the code begins."""
    name: str
    """The file's: its ``title``, else ``example.py``."""
    code: str
    runs: bool
    """Whether it is to be run: unless its info string says ``no-run``."""
    output: str | None
    """What it prints, where a block of text titled "output" follows."""


def examples(page: Path) -> Iterator[Example]:
    """Give the Python blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    for fence, following in zip_longest(fences, fences[1:]):
        if _PYTHON.match(fence["info"]):
            title = _TITLE.search(fence["info"])
            line = text.count("\n", 0, fence.start("code")) + 1
            name = title[1] if title else "example.py"
            printed = following is not None and _OUTPUT.match(following["info"])
            output = dedent(following["code"]) if following is not None and printed else None
            yield Example(page, line, name, dedent(fence["code"]), "no-run" not in fence["info"], output)
