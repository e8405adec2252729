"""An application of periodic jobs: ``python -m tests.integration.apps.ticker`` runs a worker on ``TICKER_URL``."""

from __future__ import annotations

import os

from stoker import Stoker

app: Stoker[None] = Stoker(
    os.environ["TICKER_URL"],
    name="ticker",
    settings={"workers": {"lease": "2s", "grace": "1s"}},
)


@app.job(keep="forever")
async def tick() -> None:
    """Be there."""


app.periodic("* * * * * *", tick.draft(), name="seconds", missed="all")
app.periodic(tick.draft(), every="2s", name="every-other", missed="all", jitter="1s")


if __name__ == "__main__":
    app.work()
