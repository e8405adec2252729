"""Where a bench runs: a place of its own on the store that a URL names, gone afterwards."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from stoker.bench.sides import Side, elsewhere, scheme_of, side_of
from stoker.errors import ConfigurationError
from stoker.stores.urls import mask, open_store, sqlite_path

_SNAPSHOTS = ("postgresql", "sqlite")


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
        self.scheme = "sqlite" if url is None else scheme_of(url)
        self.side: Side | None = None if url is None else side_of(url)
        """The server, if the store has one."""
        self._given = url or ""
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

    @property
    def keeps(self) -> bool:
        """Tell whether the store keeps completed jobs."""
        return not self.scheme.startswith(("sidekiq", "gocraft", "amqp", "pgmq"))

    @contextlib.contextmanager
    def fresh(self) -> Iterator[str]:
        """Give the URL of an empty store, which is removed afterwards; nobody may have it open then."""
        if not self.shared:
            yield "memory://"
            return
        if self.side is not None:
            yield from self._fresh_place()
            return
        file = self._folder / f"stoker-bench-{secrets.token_hex(4)}.sqlite3"
        try:
            yield f"sqlite:///{quote(str(file))}{self._options}"
        finally:
            for path in self._folder.glob(f"{file.name}*"):
                path.unlink(missing_ok=True)

    def _fresh_place(self) -> Iterator[str]:
        # A name that is right for a schema and for a prefix of keys.
        url = elsewhere(self._given, f"stoker_bench_{secrets.token_hex(4)}")
        try:
            yield url
        finally:
            if (side := side_of(url)) is not None:
                side.drop()

    @contextlib.contextmanager
    def pinned(self, url: str) -> Iterator[None]:
        """Hold a snapshot of an open store, so that its server must keep what is deleted meanwhile."""
        if self.scheme == "sqlite":
            from stoker.stores.sqlite.measuring import pinned

            with pinned(url, self.home):
                yield
            return
        from stoker.stores.postgres_side import PostgresSide

        with PostgresSide(url, mask(url)).pinned():
            yield

    def check_snapshots(self) -> None:
        """Refuse a store without snapshots: ConfigurationError."""
        if self.scheme not in _SNAPSHOTS:
            raise ConfigurationError(
                f"pin-snapshot: {self.scheme}:// has no snapshots; use it with postgresql:// or sqlite://"
            )

    def check_yardstick(self) -> None:
        """Refuse a store beside which there is nothing bare to measure: ConfigurationError."""
        if not self.has_yardstick:
            raise ConfigurationError(f"only: bare is measured on postgresql://, not on {self.scheme}://")

    @property
    def has_yardstick(self) -> bool:
        """Tell whether bare statements can be measured too."""
        return self.scheme == "postgresql"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()
