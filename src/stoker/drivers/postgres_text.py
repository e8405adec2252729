"""SQL texts as each kind of connection takes them: the schema's name, the placeholders and the time are put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from stoker.core.command import Value

_PLACEHOLDER: Final = re.compile(r"(?<!:):([a-z_]+)\b")
_SCHEMA: Final = re.compile(r"\bstoker\.")
_NOW: Final = """(SELECT coalesce({now}::bigint,
    (extract(epoch FROM statement_timestamp()) * 1000000)::bigint))"""


class Texts:
    """The texts of one schema, each rendered once."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self._named: dict[str, bytes] = {}
        self._numbered: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._sent: dict[str, tuple[bytes, tuple[str, ...]]] = {}

    def named(self, text: str) -> bytes:
        """Give a text with ``%(name)s`` placeholders; ``%(now)s`` is null where the server's clock counts."""
        found = self._named.get(text)
        if found is None:
            found = self._named[text] = self._render(text.replace("%", "%%"), "%({})s").encode()
        return found

    def sent(self, text: str) -> tuple[bytes, tuple[str, ...]]:
        """Give a text as libpq takes it, and the names of its values in their order."""
        found = self._sent.get(text)
        if found is None:
            rendered, names = self._in_order(text, "")
            found = self._sent[text] = (rendered.encode(), names)
        return found

    def numbered(self, text: str, params: Mapping[str, Value]) -> tuple[str, list[Value]]:
        """Give a text with ``$1`` placeholders, and the values in their order.

        Each is cast from text first, so that nothing depends on how a connection encodes a number or JSON.
        """
        if text not in self._numbered:
            self._numbered[text] = self._in_order(text, "::text")
        rendered, order = self._numbered[text]
        return rendered, [params[name] for name in order]

    def plain(self, text: str) -> str:
        """Give a text without placeholders, such as a migration, for this schema."""
        return _SCHEMA.sub(f'"{self.schema}".', text)

    def _in_order(self, text: str, cast: str) -> tuple[str, tuple[str, ...]]:
        names: dict[str, int] = {}

        def number(match: re.Match[str]) -> str:
            return f"${names.setdefault(match[1], len(names) + 1)}{cast}"

        return _PLACEHOLDER.sub(number, self._render(text, ":{}")), tuple(names)

    def _render(self, text: str, form: str) -> str:
        def placeholder(match: re.Match[str]) -> str:
            written = form.format(match[1])
            return _NOW.format(now=written) if match[1] == "now" else written

        return self.plain(_PLACEHOLDER.sub(placeholder, text))
