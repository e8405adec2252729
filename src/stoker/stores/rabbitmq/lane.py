"""What has a queue of the broker to itself."""

from __future__ import annotations

from typing import NamedTuple


class Lane(NamedTuple):
    """The jobs of one name in one queue; of them those that were with a worker when it died are a lane of their own."""

    queue: str
    name: str
    suspects: bool = False
