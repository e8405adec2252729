"""How a worker process stands, in numbers: what probes are answered from, and a supervisor hears every second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from stoker.runtime.worker import Worker
from stoker.telemetry.board import Events
from stoker.telemetry.events import AttemptEnded

SILENT_STORE: Final = 30.0
"""Seconds without an answer of the store after which a worker is not ready."""


class Pulse(msgspec.Struct, frozen=True):
    """A worker process at one moment."""

    running: int = 0
    slots: int = 0
    performed: int = 0
    silent: float = 0.0
    """Seconds since the store answered last."""
    stopping: bool = False
    rss: int = 0
    """Bytes; 0 where that is not known."""
    ended: Mapping[str, int] = {}
    """How many attempts ended how: ``QUEUE NAME STATE`` → number."""

    @property
    def ready(self) -> bool:
        """Whether it takes jobs and can reach its store."""
        return not self.stopping and self.silent < SILENT_STORE


class Tally:
    """Counts accepted endings by queue, name and state."""

    def __init__(self, events: Events) -> None:
        self.ended: Counter[str] = Counter()
        events.listen(self._count, AttemptEnded)

    def _count(self, event: AttemptEnded) -> None:
        claim = event.claim
        self.ended[f"{claim.queue} {claim.name} {event.settlement.state.value}"] += 1


def pulse_of(workers: Sequence[Worker], tally: Tally | None = None) -> Pulse:
    """Give the present state of a process's workers; called from any thread."""
    from stoker.runtime.memory import resident

    return Pulse(
        sum(worker.busy for worker in workers),
        sum(worker.plan.concurrency for worker in workers),
        sum(worker.performed for worker in workers),
        max((worker.silent for worker in workers), default=0.0),
        any(worker.keeper.stopping for worker in workers),
        resident(),
        {} if tally is None else dict(tally.ended),
    )


def metrics(pulses: Sequence[Pulse], past: Mapping[str, int], restarts: Mapping[str, int] | None = None) -> str:
    """Write what Prometheus reads. ``past`` are endings of processes that are gone, ``restarts`` those by reason."""
    ended = Counter(past)
    for pulse in pulses:
        ended.update(pulse.ended)
    lines = [
        *_gauge("stoker_worker_processes", "Worker processes that run.", len(pulses)),
        *_gauge("stoker_worker_slots", "Jobs that may run at once.", sum(pulse.slots for pulse in pulses)),
        *_gauge("stoker_worker_busy", "Jobs that run.", sum(pulse.running for pulse in pulses)),
        *_gauge("stoker_worker_ready", "Processes that take jobs.", sum(pulse.ready for pulse in pulses)),
        *_gauge("stoker_worker_rss_bytes", "Memory of the processes.", sum(pulse.rss for pulse in pulses)),
        "# HELP stoker_jobs_total Attempts whose ending the store has accepted.",
        "# TYPE stoker_jobs_total counter",
    ]
    for key, number in sorted(ended.items()):
        queue, name, state = map(_label, key.split(" "))
        lines.append(f'stoker_jobs_total{{queue="{queue}",name="{name}",outcome="{state}"}} {number}')
    if restarts is not None:
        lines += [
            "# HELP stoker_worker_restarts_total Processes that were started again.",
            "# TYPE stoker_worker_restarts_total counter",
            *(f'stoker_worker_restarts_total{{reason="{why}"}} {number}' for why, number in sorted(restarts.items())),
        ]
    return "\n".join([*lines, ""])


def _gauge(name: str, said: str, value: int) -> tuple[str, str, str]:
    return (f"# HELP {name} {said}", f"# TYPE {name} gauge", f"{name} {value}")


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
