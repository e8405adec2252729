"""Dramatiq with its own settings: acknowledged after the job ran, published without confirms."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from tally import count

dramatiq.set_broker(RabbitmqBroker(url=os.environ["PEER_BROKER"]))


@dramatiq.actor
def nothing(number: int) -> None:  # noqa: ARG001
    """Do nothing but be counted."""
    count()


def enqueue(jobs: int) -> None:
    """Enqueue so many."""
    for number in range(jobs):
        nothing.send(number)
