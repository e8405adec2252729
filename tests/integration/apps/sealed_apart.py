"""Sealed jobs with secrets that run in processes of their own; ``python -m`` performs two and prints what is stored."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from stoker import Context, Encrypt, Secret, Stoker
from stoker.core.filters import Filter

KEY = f"k:{'A' * 43}="
app: Stoker[None] = Stoker(os.environ["SEALED_URL"])


@app.job(codecs=[Encrypt(KEY)], executor="process", max_attempts=1)
def use(ctx: Context, token: Annotated[str, Secret], fails: bool) -> str:
    """Fail with a message that has the token at its cut, or give it back and have it measured."""
    if fails:
        raise ValueError("x" * 1995 + token)
    ctx.then(measure.draft(token))
    return token


@app.job(codecs=[Encrypt(KEY)])
def measure(token: Annotated[str, Secret]) -> int:
    """Give its length."""
    return len(token)


if __name__ == "__main__":
    handle = use.enqueue("open-sesame", fails=False)
    use.enqueue("open-sesame", fails=True)
    app.work(until_empty=True)
    found = app.operations().find(Filter(), 10)
    readable = {"result": handle.result(timeout=5), "states": sorted(f"{job.name} {job.state}" for job in found)}
    print(msgspec.json.encode({**readable, "stored": found}).decode())
    app.close()
