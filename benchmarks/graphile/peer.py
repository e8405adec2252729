"""graphile-worker as its own perfTest runs it: a fresh database, its headline settings, parallel processes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

_HERE: Final = Path(__file__).parent
_FILES: Final = ("package.json", "graphile.config.js", "tasks/log_if_999.js")
_ADD: Final = """
SELECT graphile_worker.add_jobs(ARRAY(
    SELECT json_populate_record(NULL::graphile_worker.job_spec,
        json_build_object('identifier', 'log_if_999', 'payload', json_build_object('id', number)))
    FROM generate_series(1, %s::integer) AS number))"""


class Peer(NamedTuple):
    """An installed graphile-worker."""

    folder: Path
    version: str

    @classmethod
    def install(cls, folder: Path) -> Peer:
        """Install it into a folder, unless it is there."""
        (folder / "tasks").mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(_HERE / name, folder / name)
        package = folder / "node_modules" / "graphile-worker" / "package.json"
        if not package.exists():
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)  # noqa: S607
        return cls(folder, json.loads(package.read_text(encoding="utf-8"))["version"])

    def server(self, url: str) -> str:
        """Name a server and how carefully it writes."""
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'), current_setting('fsync'),"
                " current_setting('synchronous_commit')"
            ).fetchone()
        version, fsync, commit = row or ("", "", "")
        return f"PostgreSQL {version} (fsync {fsync}, synchronous_commit {commit})"

    def drain(self, url: str, n: int, processes: int) -> float:
        """Give the jobs per second, the time of starting and stopping taken off, as perfTest does."""
        with _database(url) as own:
            self._end(self._start(own, "--schema-only"))
            empty = self._timed(own, processes)
            with psycopg.connect(own, autocommit=True) as connection:
                connection.execute(_ADD, (n,))
                # Without statistics its claims read the whole table until the server takes some by itself.
                connection.execute("ANALYZE")
            took = self._timed(own, processes) - empty
            with psycopg.connect(own) as connection:
                left = connection.execute("SELECT count(*) FROM graphile_worker.jobs").fetchone()
        if left != (0,):
            raise SystemExit(f"graphile-worker left {left} jobs: its figure would mean nothing")
        return n / took

    def _timed(self, url: str, processes: int) -> float:
        started = time.perf_counter()
        for process in [self._start(url, "--once") for _ in range(processes)]:
            self._end(process)
        return time.perf_counter() - started

    def _start(self, url: str, what: str) -> subprocess.Popen[bytes]:
        command = ["node", "node_modules/graphile-worker/dist/cli.js", what]
        environment = {**os.environ, "DATABASE_URL": url, "NO_LOG_SUCCESS": "1", "NODE_ENV": "production"}
        return subprocess.Popen(  # noqa: S603
            command, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"graphile-worker ended with {process.returncode}: {errors.decode(errors='replace')}")


@contextlib.contextmanager
def _database(url: str) -> Iterator[str]:
    """Make a fresh database, because an old one is slower; gone afterwards."""
    name = f"stoker_graphile_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
