"""The type of free-form arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
    """Whatever JSON can say; for parameters whose shape the handler does not want to fix."""
else:
    # A recursive alias cannot be resolved from a user's module, and msgspec reads Any as exactly this.
    JSON: TypeAlias = Any
