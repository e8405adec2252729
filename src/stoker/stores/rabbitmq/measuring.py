"""What `stoker bench` asks of a RabbitMQ broker beside the store's verbs: queues of its own, and facts."""

from __future__ import annotations

import contextlib

from stoker.stores.rabbitmq.store import RabbitStore


class RabbitSide:
    """The broker and queues of a URL; ``shown`` as errors may show it."""

    def __init__(self, url: str, shown: str) -> None:
        self._url = url
        self._shown = shown

    def particulars(self) -> dict[str, object]:
        """Say which broker it is; the queues are durable quorum queues, on disk when confirmed."""
        with contextlib.closing(RabbitStore(self._url, shown=self._shown)) as store:
            told = [finding.text for finding in store.examine() if finding.subject == "server"]
        return {"broker": " ".join(told)}

    def drop(self) -> None:
        """Delete every queue that a store has there."""
        with contextlib.closing(RabbitStore(self._url, shown=self._shown)) as store:
            store.drop()

    def server_pid(self) -> int | None:
        """Give None: a broker does not tell which process it is."""
        return None
