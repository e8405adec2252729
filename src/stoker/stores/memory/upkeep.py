"""What maintenance does: promote, prune, lead."""

from __future__ import annotations

from stoker.core.expiry import failure
from stoker.core.job import WAITING, Changed, JobId, Moved, State
from stoker.stores.memory import batches
from stoker.stores.memory.contents import Contents
from stoker.stores.memory.intake import drop_receipts


def promote(contents: Contents, limit: int) -> Moved:
    """Make due jobs available, those that were due first in front."""
    rows = contents.due.take(contents.now, limit)
    for row in rows:
        contents.to_available(row, row.run_at)
    return Moved(len(rows), contents.due.earliest())


def expire(contents: Contents, limit: int) -> Changed:
    """Cancel what waits although it was to start earlier; what runs or was tried before is not looked at again."""
    ids: list[JobId] = []
    while len(ids) < limit and (due := contents.expiring.take(contents.now, limit - len(ids))):
        for row in due:
            if row.state in WAITING and row.failures + row.crashes + row.snoozes == 0:
                contents.fail(row, failure(1))
                contents.to_final(row, State.CANCELLED, row.job.keep_failed)
                ids.append(row.id)
    first = contents.expiring.earliest()
    return Changed(len(ids), first is not None and first <= contents.now, tuple(ids))


def prune(contents: Contents, limit: int) -> Changed:
    """Delete what is kept no longer, and forget what nobody can ask for any more."""
    drop_receipts(contents)
    contents.slots.prune(contents.now)
    contents.lanes.tidy()
    contents.gates.tidy()
    if contents.batches:
        batches.prune(contents)
    rows = contents.ended.take(contents.now, limit)
    for row in rows:
        contents.remove(row)
    first = contents.ended.earliest()
    return Changed(len(rows), first is not None and first <= contents.now, tuple(row.id for row in rows))


def lead(contents: Contents, role: str, holder: str, ttl: int) -> bool:
    """Give a role to who asks, if nobody else has it."""
    leader, until = contents.leaders.get(role, (holder, 0))
    if leader != holder and contents.now < until:
        return False
    if ttl == 0:
        contents.leaders.pop(role, None)
        return False
    contents.leaders[role] = (holder, contents.now + ttl)
    return True
