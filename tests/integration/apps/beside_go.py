"""A worker in the namespace of a Go service; its jobs last until a key appears."""

from __future__ import annotations

import os
import time
from typing import Any

import redis

from stoker import Stoker

app: Stoker[Any] = Stoker(os.environ.get("BESIDE_URL", "gocraft+redis://localhost"))


@app.job(name="long")
def long(n: int) -> None:
    url, _, namespace = os.environ["BESIDE_URL"].removeprefix("gocraft+").partition("?namespace=")
    client = redis.Redis.from_url(url)
    client.rpush(f"{namespace}:began", n)
    while not client.exists(f"{namespace}:go"):
        time.sleep(0.02)
    client.rpush(f"{namespace}:ended", n)


if __name__ == "__main__":
    app.work()
