"""A worker on a server that Ruby's Sidekiq uses; its jobs last until a key appears."""

from __future__ import annotations

import os
import time
from typing import Any

import redis

from stoker import Stoker

app: Stoker[Any] = Stoker(f"sidekiq+{os.environ.get('BESIDE_URL', 'redis://localhost')}")


@app.job(name="PyLong", queue="python")
def long(n: int) -> None:
    client = redis.Redis.from_url(os.environ["BESIDE_URL"])
    client.rpush("began", n)
    while not client.exists("go"):
        time.sleep(0.02)
    client.rpush("ended", n)


if __name__ == "__main__":
    app.work()
