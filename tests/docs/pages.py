"""Takes blocks of other languages out of a page, by their titles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"


def block(page: str, title: str) -> str:
    """Give the one block of a page that has a title."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (found,) = re.findall(rf'^```[^\n]*title="{re.escape(title)}"[^\n]*\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    return str(found)
