"""Where a bench runs: a place of its own on the store that a URL names, gone afterwards."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from stoker.stores.urls import canonical_url, mask, open_store, sqlite_path


class Ground:
    """Gives each measurement a store that nobody has used; a context manager.

    ``url`` names the store, None a SQLite file in a temporary folder; a relative file is relative to ``root``.
    ConfigurationError for a URL that is wrong or whose store comes with a later version.
    """

    def __init__(self, url: str | None, root: Path) -> None:
        if url is not None:
            open_store(url, root=root)  # does no I/O
        self._temporary = tempfile.TemporaryDirectory(prefix="stoker-bench-")
        self.home = Path(self._temporary.name)
        """The folder of an application without settings."""
        (self.home / "config").mkdir()
        self.url = "sqlite:///(temporary)" if url is None else mask(url)
        """The URL as it may be shown."""
        self.scheme = "sqlite" if url is None else canonical_url(url).partition(":")[0]
        self._redis = url if url is not None and self.scheme.startswith("redis") else ""
        self._folder = self.home
        self._options = ""
        """What the URL says of how its store is used, which holds for ours too."""
        if url is not None and self.scheme == "sqlite":
            file, question, options = url.partition("?")
            self._folder = sqlite_path(file, root).parent
            self._options = question + options

    @property
    def shared(self) -> bool:
        """Tell whether several processes can reach one store."""
        return self.scheme != "memory"

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """Give the URL of an empty store, which is removed afterwards; nobody may have it open then."""
        if not self.shared:
            yield "memory://"
            return
        if self._redis:
            yield from self._fresh_prefix()
            return
        file = self._folder / f"stoker-bench-{secrets.token_hex(4)}.sqlite3"
        try:
            yield f"sqlite:///{quote(str(file))}{self._options}"
        finally:
            for path in self._folder.glob(f"{file.name}*"):
                path.unlink(missing_ok=True)

    def _fresh_prefix(self) -> Iterator[str]:
        parts = urlsplit(self._redis)
        options = [(name, value) for name, value in parse_qsl(parts.query) if name != "prefix"]
        options.append(("prefix", f"stoker-bench-{secrets.token_hex(4)}"))
        url = urlunsplit(parts._replace(query=urlencode(options)))
        try:
            yield url
        finally:
            from stoker.stores.redis import RedisStore

            with contextlib.closing(RedisStore(url, shown=mask(url))) as store:
                store.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()
