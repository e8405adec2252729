"""A process that moves jobs from one store to another and says so after each batch, to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from stoker.app import moving
from stoker.app.moving import Moved, Mover, Place
from stoker.core.filters import EVERYTHING
from stoker.stores.urls import open_store


def place(url: str, name: str) -> Place:
    """Open the store of a URL."""
    return Place(open_store(url, root=Path.cwd()), name, url)


def main(source: str, target: str, batch: str) -> None:
    """Move everything in batches of so many."""

    def tell(done: Moved) -> None:
        print(done.moved, flush=True)

    moving.BATCH = int(batch)  # type: ignore[misc]
    Mover(place(source, "legacy"), place(target, "default")).move(EVERYTHING, None, tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
