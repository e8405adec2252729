"""What operators say of job names at run time, and who said it when."""

from __future__ import annotations

from stoker.core.override import Overriding
from stoker.stores.memory.contents import Contents


def override(contents: Contents, name: str, text: str | None, by: str) -> bool:
    """Keep what is said of a name, or take it back."""
    known = contents.overrides.get(name)
    if (None if known is None else known.text) == text:
        return False
    said = Overriding(name, text, by, contents.now)
    if text is None:
        del contents.overrides[name]
    else:
        contents.overrides[name] = said
    contents.override_history.append(said)
    return True


def overrides(contents: Contents) -> list[Overriding]:
    """Give what is said of all names."""
    return [contents.overrides[name] for name in sorted(contents.overrides)]


def history(contents: Contents, name: str, limit: int) -> list[Overriding]:
    """Give the latest changes of a name."""
    return [said for said in reversed(contents.override_history) if said.name == name][:limit]
