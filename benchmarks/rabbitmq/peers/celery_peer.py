"""Celery: acknowledged after the job ran, results ignored."""

import os

from celery import Celery
from tally import count

app = Celery("peer", broker=os.environ["PEER_BROKER"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=100)
app.conf.update(worker_hijack_root_logger=False, worker_redirect_stdouts=False)


@app.task(name="nothing")
def nothing(number: int) -> None:  # noqa: ARG001
    """Do nothing but be counted."""
    count()


def enqueue(jobs: int) -> None:
    """Enqueue so many."""
    for number in range(jobs):
        nothing.delay(number)
