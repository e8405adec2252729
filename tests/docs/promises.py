"""The table of promises, made from the flags of the stores; `python -m tests.docs.promises` writes it into its page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stoker.core.capability import Capability
from stoker.stores.base import Store
from stoker.stores.urls import open_store

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "promises.md"
BEGIN: Final = "<!-- promises -->\n"
END: Final = "<!-- end -->"
URLS: Final = (
    "memory://",
    "sqlite:///jobs.sqlite3",
    "postgresql://localhost/jobs",
    "redis://localhost/0",
    "sidekiq+redis://localhost/0",
    "pgmq+postgresql://localhost/shop",
    "gocraft+redis://localhost/0",
    "amqp://localhost/",
)

PROMISES: Final[dict[Capability, str]] = {
    Capability.LEASE: "the jobs of a silent worker run again by themselves",
    Capability.FENCED: "what a worker reports too late is refused",
    Capability.SELECTIVE: "jobs of unknown names wait untouched",
    Capability.ATOMIC: "an ending and what follows from it are one unit",
    Capability.RECEIPTS: "a call that is sent again inserts nothing twice",
    Capability.TAGS: "tags decide which workers take a job",
    Capability.SCHEDULE: "delays and times (`delay=`, `at=`), retries with a pause",
    Capability.PROMOTION: "what is due is moved into its queue; without it, time alone makes it available",
    Capability.QUEUE_NAMES: "queues may have any name",
    Capability.ORDER: "jobs of a queue come in their order, whatever their names",
    Capability.PRIORITY: "higher priorities run first",
    Capability.UNIQUE: "unique jobs",
    Capability.UNIQUE_TO_START: "unique jobs until the first of them starts, or for a day",
    Capability.TRANSACTIONS: "`transaction=`: a job joins your transaction",
    Capability.RESULTS: "results",
    Capability.FIND: "look jobs up and list them",
    Capability.HISTORY: "what has ended is kept for its time, with every failure",
    Capability.CANCEL: "cancel waiting jobs",
    Capability.CANCEL_RUNNING: "ask running jobs to stop",
    Capability.RETRY: "retry and promote by hand",
    Capability.DELETE: "delete jobs",
    Capability.PAUSE: "pause queues and names",
    Capability.EXPIRY: "`expires=`: what was not started in time is cancelled",
    Capability.HOLD: "waiting jobs can be moved to another store",
    Capability.RECEIVE: "waiting jobs of another store are taken in, each once",
    Capability.PRESENCE: "workers are known, with what they serve",
    Capability.SIGNALS: "workers can be told from outside to go quiet or stop",
    Capability.NOTIFY: "an enqueue wakes waiting workers, in whatever process",
    Capability.EDIT: "change waiting jobs (in no store yet)",
    Capability.RESTORE: "import jobs with their states (in no store yet)",
    Capability.NOTE: "progress and checkpoints",
    Capability.LIMITS: "limits on running jobs and rates, across workers",
    Capability.OVERRIDE: "limits, rates, timeouts and attempts said at run time, with who said it",
    Capability.TICK: "periodic jobs, each tick enqueued once",
    Capability.BATCH: "batches and workflows, no step lost, no callback enqueued twice",
}


def table() -> str:
    """Write the table."""
    stores = [open_store(url, root=Path.cwd()) for url in URLS]
    lines = [
        f"| promise | flag | {' | '.join(map(_column, URLS))} |",
        f"|---|---|{'---|' * len(URLS)}",
        *(
            f"| {promise} | `{flag.name}` | {' | '.join(_kept(store, flag) for store in stores)} |"
            for flag, promise in PROMISES.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _column(url: str) -> str:
    return f"`{url.partition(':')[0].removesuffix('+redis').removesuffix('+postgresql')}`"


def _kept(store: Store, flag: Capability) -> str:
    return "yes" if store.supports(flag) else "–"


def written() -> str:
    """Give the table as it stands in the page."""
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
