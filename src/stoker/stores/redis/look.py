"""What one may ask of the store, and what maintenance says: result, count, any, workers, pauses, promote, prune."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stoker.core.job import Changed, Ending, JobId, Moved, Pause, QueueCount, WorkerInfo
from stoker.core.limits import Admitted, Rule
from stoker.stores.codes import counted
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.wire import encode, failure_of, state_of

_worker = msgspec.json.Decoder(WorkerInfo)


def ending(reply: Any) -> Ending | None:
    """Read how a job ended."""
    if reply is None:
        return None
    state, result, failure = reply
    return Ending(
        state_of(state),
        None if result is None else msgspec.json.decode(b'"%s"' % result, type=str),
        None if failure is None else failure_of(msgspec.json.decode(failure)),
    )


def counts(reply: list[bytes]) -> list[QueueCount]:
    """Read the counts; a group is its state's number and its lane."""
    rows = [
        (*_lane_of(group), int(group[:1]), int(number), int(oldest))
        for group, number, oldest in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
    ]
    found = counted(rows)
    return sorted(found, key=lambda count: (count.queue, count.name, count.route, count.state))


def routes(reply: list[bytes]) -> list[str]:
    """Read the routes."""
    return sorted(route.decode() for route in reply)


def _lane_of(group: bytes) -> tuple[str, str, str]:
    """Give queue, name and route of a group."""
    queue, route, name, _ = group[1:].decode().split("\0")
    return queue, name, route


def any_args(queues: Sequence[str], names: Sequence[str], routes: Sequence[str]) -> list[Arg]:
    """Give what `any.lua` takes."""
    return [len(queues), len(names), len(routes), *queues, *names, *routes]


def beat_args(worker: WorkerInfo, ttl: int) -> list[Arg]:
    """Give what `beat.lua` takes."""
    return [worker.id, ttl, encode(worker)]


def workers(reply: list[bytes]) -> list[WorkerInfo]:
    """Read the workers; one that another version wrote in a way we do not understand is left out."""
    known: list[WorkerInfo] = []
    for text in reply:
        _, beat_at, info = text.split(b" ", 2)
        try:
            known.append(msgspec.structs.replace(_worker.decode(info), beat_at=int(beat_at)))
        except msgspec.MsgspecError:
            continue
    return sorted(known, key=lambda worker: worker.id)


def pauses(reply: list[bytes]) -> list[Pause]:
    """Read what is paused, queues first."""
    found: list[Pause] = []
    for field, since in zip(reply[::2], reply[1::2], strict=True):
        kind, _, value = field.decode().partition("\0")
        found.append(Pause(kind, value, int(since)))
    return sorted(found, key=lambda pause: (pause.kind != "queue", pause.since, pause.value))


def promoted(reply: Any) -> Moved:
    """Read the answer of a promote."""
    moved, due = reply
    return Moved(moved, None if due is None else int(due))


def admitted(reply: Any) -> Admitted:
    """Read the answer of an admit."""
    count, more, next_at, now = reply
    return Admitted(count, bool(more), None if next_at is None else int(next_at), int(now))


def rules_args(rules: Sequence[Rule], *, replace: bool) -> list[Arg]:
    """Give what `define.lua` takes."""
    args: list[Arg] = [int(replace)]
    for rule in rules:
        said = ("-" if number is None else str(number) for number in (rule.running, rule.starts))
        args += [rule.name, " ".join((*said, str(rule.per)))]
    return args


def pruned(reply: Any) -> Changed:
    """Read the answer of a prune."""
    ids, more = reply
    return Changed(len(ids), bool(more), tuple(JobId(id.decode()) for id in ids))
