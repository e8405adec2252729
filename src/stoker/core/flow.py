"""What a batch or workflow does next: its document and new events in, the next document and jobs to store out.

Pure: whoever stores the answer does so by compare-and-set on the document's version, in one unit with the jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from stoker.core.batch import ADDED, BATCH_KEY, CANCELLED, COMPLETED, DISCARDED, BatchEvent, BatchId, member
from stoker.core.duration import SECOND
from stoker.core.job import JobId, NewJob

Policy = Literal["stop", "continue", "skip"]
"""What becomes of a step when one that it needs failed: it waits until that is retried, does without, is left out."""
NodeState = Literal["waiting", "open", "completed", "cancelled", "discarded", "skipped"]
FAILED: Final = ("cancelled", "discarded")
KEPT_FOR_OTHERS: Final = 14 * 86_400 * SECOND
"""A step whose result others need is kept so long at least."""

_ENDINGS: Final[Mapping[int, NodeState]] = {COMPLETED: "completed", CANCELLED: "cancelled", DISCARDED: "discarded"}


class Edge(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one step needs of another."""

    node: str
    policy: Policy = "stop"
    param: str | None = None
    """The parameter that takes the other's result; None where only the order counts."""
    place: int | None = None
    """Its place, where the parameter takes a list of results."""


class Node(msgspec.Struct, omit_defaults=True):
    """A step of a workflow: a job that is stored when what it needs is done."""

    job: NewJob
    needs: tuple[Edge, ...] = ()
    state: NodeState = "waiting"
    id: JobId | None = None
    """Its job, once that has ended."""
    result: str | None = None
    """JSON text, where another step needs it."""


class Flow(msgspec.Struct, omit_defaults=True):
    """The document of a batch."""

    name: str = ""
    sealed: bool = False
    """Whether it may be complete: nobody goes on adding from outside."""
    stopped: bool = False
    """Cancelled as a whole: no step begins any more."""
    total: int = 0
    completed: int = 0
    cancelled: int = 0
    discarded: int = 0
    nodes: dict[str, Node] = {}
    children: tuple[BatchId, ...] = ()
    within: BatchId | None = None
    told: int = 0
    """What the batch around it was told last."""
    on_success: NewJob | None = None
    on_failure: NewJob | None = None
    on_complete: NewJob | None = None
    succeeded: bool = False
    ended: bool = False
    """Whether these two callbacks were enqueued."""

    @property
    def pending(self) -> int:
        """How many members have not ended."""
        return self.total - self.completed - self.cancelled - self.discarded - self.skipped

    @property
    def skipped(self) -> int:
        """How many steps were left out."""
        return sum(node.state == "skipped" for node in self.nodes.values())

    @property
    def waiting(self) -> int:
        """How many steps have no job yet."""
        return sum(node.state == "waiting" for node in self.nodes.values())

    @property
    def complete(self) -> bool:
        """Whether nothing goes on any more; steps may still wait for one that failed to be retried."""
        return self.sealed and self.pending == self.waiting

    @property
    def success(self) -> bool:
        """Whether it is complete and every failure was one that the steps behind it put up with."""
        if not self.complete or self.waiting:
            return False
        if not self.nodes:
            return self.cancelled + self.discarded == 0
        edges = [edge for node in self.nodes.values() for edge in node.needs]
        put_up_with = {edge.node for edge in edges} - {edge.node for edge in edges if edge.policy == "stop"}
        failed = {key for key, node in self.nodes.items() if node.state in FAILED}
        return not self.stopped and failed <= put_up_with


class Advance(msgspec.Struct, frozen=True):
    """What follows from new events."""

    flow: Flow
    jobs: tuple[NewJob, ...] = ()
    tell: tuple[tuple[BatchId, str, int], ...] = ()


def read(doc: str) -> Flow:
    """Read a document."""
    return _decoder.decode(doc)


def write(flow: Flow) -> str:
    """Write a document."""
    return msgspec.json.encode(flow).decode()


def wanted(flow: Flow, events: Iterable[BatchEvent]) -> dict[str, JobId]:
    """Give the steps among the events whose results others need, with their jobs."""
    needed = {edge.node for node in flow.nodes.values() for edge in node.needs if edge.param is not None}
    return {event.node: event.job for event in events if event.kind == COMPLETED and event.job and event.node in needed}


def advance(id: BatchId, flow: Flow, events: Sequence[BatchEvent], results: Mapping[str, str | None]) -> Advance:
    """Take events into the document, and say what is to be stored with it. ``results`` are those of `wanted`."""
    jobs = [callback for event in events for callback in _take(flow, id, event, results)]
    jobs += _begin(flow, id)
    if flow.complete and not flow.ended:
        flow.ended = True
        jobs += _callback(flow.on_complete, id)
    if flow.success and not flow.succeeded:
        flow.succeeded = True
        jobs += _callback(flow.on_success, id)
    return Advance(flow, tuple(jobs), tuple(_tell(flow, id)))


def _take(flow: Flow, id: BatchId, event: BatchEvent, results: Mapping[str, str | None]) -> list[NewJob]:
    if event.kind == ADDED:
        flow.total += event.count
        if event.node:
            flow.children = (*flow.children, BatchId(event.node))
        return []
    ending = _ENDINGS[abs(event.kind)]
    by = event.count if event.kind > 0 else -event.count
    setattr(flow, ending, getattr(flow, ending) + by)
    node = flow.nodes.get(event.node)
    if node is not None:
        node.state = ending if event.kind > 0 else "open"
        node.id = event.job
        if event.node in results:
            node.result = results[event.node]
    if event.kind == DISCARDED and flow.on_failure is not None:
        return [callback_of(flow.on_failure, id, event.job)]
    return []


def _begin(flow: Flow, id: BatchId) -> list[NewJob]:
    """Store the steps that have what they need; leave out those that do without."""
    jobs: list[NewJob] = []
    if flow.stopped:
        for node in flow.nodes.values():
            if node.state == "waiting":
                node.state = "cancelled"
                flow.cancelled += 1
        return jobs
    going = True
    while going:
        going = False
        for key, node in flow.nodes.items():
            if node.state != "waiting":
                continue
            stands = [_stand(flow.nodes[edge.node].state, edge.policy) for edge in node.needs]
            if "left out" in stands:
                node.state = "skipped"
                going = True
            elif all(stand == "done" for stand in stands):
                node.state = "open"
                jobs.append(_step(flow, id, key, node))
    return jobs


def _stand(state: NodeState, policy: Policy) -> Literal["done", "not yet", "left out"]:
    if state in ("completed", "skipped"):
        return "done"
    if state in FAILED and policy == "continue":
        return "done"
    return "left out" if state in FAILED and policy == "skip" else "not yet"


def _step(flow: Flow, id: BatchId, key: str, node: Node) -> NewJob:
    """Give a step's job, with the results that it takes among its arguments."""
    given: dict[str, msgspec.Raw | list[msgspec.Raw]] = {}
    refused = ""
    for edge in node.needs:
        other = flow.nodes[edge.node]
        if edge.param is None:
            continue
        if other.state == "completed" and other.result is None:
            refused = (
                f"it takes the result of step {edge.node} (job {other.id}) as `{edge.param}`, but what that returned "
                "is not JSON, or was deleted: return numbers, text, lists, dicts or a dataclass there"
            )
        value = msgspec.Raw((other.result or "null").encode() if other.state == "completed" else b"null")
        if edge.place is None:
            given[edge.param] = value
        else:
            listed = given.setdefault(edge.param, [])
            if isinstance(listed, list):
                listed.append(value)
    job = node.job
    if given:
        args: dict[str, object] = dict(msgspec.json.decode(job.args, type=dict[str, msgspec.Raw]))
        job = msgspec.structs.replace(job, args=msgspec.json.encode({**args, **given}).decode())
    needed = any(edge.node == key and edge.param is not None for one in flow.nodes.values() for edge in one.needs)
    return member(job, id, key, keep_at_least=KEPT_FOR_OTHERS if needed else 1, refused=refused)


def callback_of(job: NewJob, id: BatchId, failed: JobId | None = None) -> NewJob:
    """Give a callback's job: its ``meta`` names the batch, its parent is the job that failed."""
    meta = msgspec.json.decode(job.meta, type=dict[str, msgspec.Raw])
    meta[BATCH_KEY] = msgspec.Raw(msgspec.json.encode(id))
    return msgspec.structs.replace(job, meta=msgspec.json.encode(meta).decode(), parent=failed)


def _callback(job: NewJob | None, id: BatchId) -> list[NewJob]:
    return [] if job is None else [callback_of(job, id)]


def _tell(flow: Flow, id: BatchId) -> list[tuple[BatchId, str, int]]:
    if flow.within is None:
        return []
    now = (COMPLETED if flow.success else DISCARDED) if flow.complete else 0
    before, flow.told = flow.told, now
    kinds = [] if now == before else [kind for kind in (-before, now) if kind]
    return [(flow.within, id, kind) for kind in kinds]


_decoder: Final = msgspec.json.Decoder(Flow)
