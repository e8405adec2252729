"""Jobs in a directory, a file each: ``dir:///var/spool/jobs``. What is what is told in docs/how-to/write-a-store.md."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from stoker.errors import ConfigurationError, StoreUnavailable
from stoker.stores import CallId, Clock, JobId, Kept, Opening, Records, RecordStore


class DirectoryStore(RecordStore):
    """Jobs for the processes of one machine, some thousands at most. Killed processes lose none; a power cut may."""

    def __init__(self, root: Path, clock: Clock) -> None:
        super().__init__(f"dir://{root}", clock)
        self.root = root

    @contextmanager
    def unit(self, now: int) -> Iterator[Records]:
        try:
            for folder in ("calls", "values"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            lock = (self.root / "lock").open("w")
        except OSError as error:
            raise StoreUnavailable(f"{self.url}: {error}", store=self.url) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets it go when its holder is killed
            yield (files := Files(self.root, now))
            files.keep_value("number", str(files.latest))


class Files:
    """``calls/<call>/<job>.json``, one folder for the jobs that were enqueued together, with their ids in ``receipt``.

    Files are written beside their place and moved into it, so whoever is killed meanwhile leaves nothing half done.
    """

    def __init__(self, root: Path, now: int) -> None:
        self.root = root
        self.now = now
        found = {path: msgspec.json.decode(path.read_bytes(), type=Kept) for path in root.glob("calls/*/*.json")}
        self.paths = {kept.job.id: path for path, kept in found.items()}
        self.kept = {kept.job.id: kept for kept in sorted(found.values(), key=lambda kept: int(kept.job.id))}
        # The jobs know better than what is written when a unit ends: its holder may have been killed before.
        self.latest = max([int(self.value("number") or 0), *(max(int(id), kept.pos) for id, kept in self.kept.items())])

    def all(self) -> Collection[Kept]:
        return self.kept.values()

    def put(self, kept: Kept) -> None:
        self._write(self.paths[kept.job.id], msgspec.json.encode(kept))

    def remove(self, id: JobId) -> None:
        self.paths[id].unlink()

    def number(self) -> int:
        self.latest += 1
        return self.latest

    def insert(self, call: CallId, records: Sequence[Kept]) -> None:
        stage = self.root / "stage"
        shutil.rmtree(stage, ignore_errors=True)  # of somebody who was killed
        stage.mkdir()
        for kept in records:
            (stage / f"{kept.job.id}.json").write_bytes(msgspec.json.encode(kept))
        (stage / "receipt").write_bytes(msgspec.json.encode((self.now, [kept.job.id for kept in records])))
        stage.rename(self.root / "calls" / call)

    def receipt(self, call: CallId) -> Sequence[JobId] | None:
        path = self.root / "calls" / call / "receipt"
        return _receipt(path)[1] if path.exists() else None

    def forget(self, before: int) -> None:
        for path in self.root.glob("calls/*/receipt"):
            if _receipt(path)[0] < before and len(list(path.parent.iterdir())) == 1:
                shutil.rmtree(path.parent)

    def value(self, key: str) -> str | None:
        path = self.root / "values" / quote(key, safe="")
        return path.read_text() if path.exists() else None

    def keep_value(self, key: str, value: str) -> None:
        self._write(self.root / "values" / quote(key, safe=""), value.encode())

    def _write(self, path: Path, content: bytes) -> None:
        fresh = self.root / "fresh"
        fresh.write_bytes(content)
        fresh.replace(path)


def _receipt(path: Path) -> tuple[int, list[JobId]]:
    return msgspec.json.decode(path.read_bytes(), type=tuple[int, list[JobId]])


def open_store(opening: Opening) -> DirectoryStore:
    """Make the store of a ``dir://`` URL: what the entry point of this package names."""
    parts = urlsplit(opening.url)
    if parts.netloc or parts.query or len(parts.path) < 2:
        raise ConfigurationError(f"{opening.shown}: write dir:///relative/folder or dir:////absolute/folder")
    return DirectoryStore(opening.root / unquote(parts.path[1:]), opening.clock)
