"""How a batch or workflow stands, as people and programs read it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stoker.core.batch import BatchId, StoredBatch
from stoker.core.flow import Flow, NodeState, advance, read, wanted


class Standing(msgspec.Struct, frozen=True):
    """A batch at one moment; numbers are of jobs, or of a workflow's steps."""

    id: BatchId
    name: str
    total: int
    completed: int
    cancelled: int
    discarded: int
    skipped: int
    waiting: int
    """Steps that have no job yet: they wait for others."""
    pending: int
    """What has not ended, waiting steps included."""
    sealed: bool
    """Whether nobody goes on adding from outside; only then can it be complete."""
    complete: bool
    """Whether nothing goes on any more; steps may still wait for one that failed to be retried."""
    success: bool
    within: BatchId | None
    steps: Mapping[str, NodeState]
    """Of a workflow: how each step stands."""

    @property
    def kind(self) -> str:
        """What to call it."""
        return "workflow" if self.steps else "batch"

    @property
    def fraction(self) -> float:
        """How much of it has ended, from 0 to 1."""
        return 1.0 if self.total == 0 else (self.total - self.pending) / self.total

    def __str__(self) -> str:
        parts = {"completed": self.completed, "discarded": self.discarded, "cancelled": self.cancelled}
        parts |= {"left out": self.skipped, "waiting": self.waiting, "running or queued": self.pending - self.waiting}
        told = ", ".join(f"{count} {word}" for word, count in parts.items() if count)
        state = "success" if self.success else "complete" if self.complete else "" if self.sealed else "open"
        return f"{self.total - self.pending}/{self.total}{f' ({told})' if told else ''}{f', {state}' if state else ''}"


def standing(batch: StoredBatch) -> Standing:
    """Say how a batch stands, with what its ledger has beyond the document."""
    flow = read(batch.doc)
    if batch.events:
        flow = advance(batch.id, flow, batch.events, dict.fromkeys(wanted(flow, batch.events))).flow
    return _of(batch.id, flow)


def _of(id: BatchId, flow: Flow) -> Standing:
    return Standing(
        id,
        flow.name,
        flow.total,
        flow.completed,
        flow.cancelled,
        flow.discarded,
        flow.skipped,
        flow.waiting,
        flow.pending,
        flow.sealed,
        flow.complete,
        flow.success,
        flow.within,
        {key: node.state for key, node in flow.nodes.items()},
    )
