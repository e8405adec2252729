"""What is still to come in a store, as `stoker status` says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stoker.cli.invocation import current
from stoker.cli.output import moment, number_of
from stoker.core.duration import as_datetime
from stoker.core.job import State

if TYPE_CHECKING:
    from stoker.app.operations import StoreStatus
    from stoker.app.outlook import Outlook


def outlook_of(name: str, status: StoreStatus) -> Outlook:
    """Ask a store what it has left to do."""
    from stoker.app.outlook import outlook

    counted = {state: sum(queue.states[state] for queue in status.queues) for state in State}
    return outlook(current().target().store(name), counted)


def outlook_lines(name: str, seen: Outlook, *, retiring: bool, asked: bool) -> Iterator[str]:
    """Say it: of a store that is retiring or was asked for also whether it is empty."""
    if seen.later:
        until = "" if seen.last_due is None else f", the last of them due at {moment(as_datetime(seen.last_due))}"
        yield f"{number_of(seen.later)} for later{until}"
    for hold in seen.moving:
        yield (
            f"{number_of(hold.jobs)} on the way to {hold.target} since {moment(as_datetime(hold.at))}; "
            f"if no move runs, go on with it: stoker queues move --from-store {name}"
        )
    if retiring and seen.empty:
        yield f"retiring, and empty: take {name} out of retiring and stores"
    elif retiring:
        yield f"retiring: {number_of(seen.waiting)} waiting, {seen.running:,} running"
    elif asked and seen.empty:
        yield "empty: nothing waits or runs here"


def plain_outlook(seen: Outlook, *, retiring: bool) -> dict[str, Any]:
    """Give it for programs."""

    def text(instant: int) -> str:
        return as_datetime(instant).isoformat().replace("+00:00", "Z")

    return {
        "retiring": retiring,
        "empty": seen.empty,
        "last_due": None if seen.last_due is None else text(seen.last_due),
        "moving": [{"to": hold.target, "jobs": hold.jobs, "since": text(hold.at)} for hold in seen.moving],
    }
