"""Log lines made of events: one line for each thing an operator must know, on the logger ``stoker``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from stoker.core.backoff import Backoff, wait_after
from stoker.core.duration import SECOND, as_datetime, in_words
from stoker.core.job import Claim, State
from stoker.errors import ConfigurationError
from stoker.telemetry.events import (
    KINDS,
    AttemptEnded,
    AttemptStarted,
    BreakerClosed,
    BreakerOpened,
    EntriesRemoved,
    EntryFailed,
    EntryTicked,
    Event,
    JobMisfit,
    JobOverdue,
    JobsChanged,
    JobsEnqueued,
    JobsExpired,
    JobSlow,
    JobsPruned,
    JobsReclaimed,
    LateEnding,
    LeaseLost,
    LoopStuck,
    QueuesPaused,
    ResultDropped,
    SettleRefused,
    StoreBack,
    StoreFailed,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)

log = logging.getLogger("stoker")
MINUTE = 60 * SECOND
HEARD = tuple(kind for kind in KINDS if kind is not AttemptStarted)
"""The kinds that are logged: nothing is said of attempts that begin, so that nobody has to be told."""
COMPLETED = State.COMPLETED  # looked up once: a job costs 10 µs, an enumeration's attribute a tenth of one


class LogLines:
    """A listener; ``backoff_of`` gives the backoff of a job name, to tell when a failing job will be given up."""

    def __init__(self, backoff_of: Callable[[str], Backoff], now: Callable[[], int]) -> None:
        self._backoff_of = backoff_of
        self._now = now
        self._misfits: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Write the line for an event, if it deserves one."""
        match event:
            case AttemptEnded():
                self._attempt_ended(event)
            case SettleRefused(claim, settlement, answer, uncertain):
                what = "settle uncertain" if uncertain else "claim lost"
                log.warning("%s: %s answered %s, ending %s dropped", _job(claim), what, answer, settlement.state)
            case LateEnding(claim, settlement):
                error = settlement.error
                cause = f"{error.type}: {_first_line(error.message)}" if error else f"ending {settlement.state}"
                log.warning(
                    "%s: completed in its transaction; dropped what came after the commit: %s", _job(claim), cause
                )
            case LeaseLost(tokens):
                log.warning("%d lease(s) lost: their attempts are stopped and their endings dropped", len(tokens))
            case ResultDropped(claim, reason):
                log.warning("%s: completed, result dropped: %s", _job(claim), reason)
            case JobMisfit(claim, reason):
                self._misfit(claim, reason)
            case JobSlow(claim, running):
                log.warning("%s: still running after %s", _job(claim), in_words(running))
            case JobOverdue(claim, reason):
                log.warning("%s: %s, but its thread goes on until it returns", _job(claim), reason)
            case LoopStuck(silent, tokens):
                log.error("event loop silent for %.0f s: %d lease(s) no longer renewed", silent, len(tokens))
            case StoreFailed(verb, error, delay):
                log.warning("store unavailable in %s, next try in %.1f s: %s", verb, delay, error)
            case StoreBack(verb):
                log.info("store available again in %s", verb)
            case JobsReclaimed(available, cancelled, discarded):
                log.warning(
                    "reclaimed from silent workers: %d available, %d cancelled, %d discarded",
                    len(available),
                    len(cancelled),
                    len(discarded),
                )
            case EntryTicked(_, entry, at, jobs):
                log.debug("periodic %s: %d job(s) enqueued, ticked up to %s", entry, jobs, as_datetime(at).isoformat())
            case EntryFailed(_, entry, reason):
                log.error("periodic %s: %s", entry, reason)
            case EntriesRemoved(application, entries):
                log.warning("periodic entries that %s no longer declares were removed: %s", application, _list(entries))
            case BreakerOpened(name, rest):
                log.error("%s: failed too often, its jobs wait; the next probe is in %s", name, in_words(rest))
            case BreakerClosed(name):
                log.warning("%s: a probe succeeded, its jobs run again", name)
            case JobsExpired(ids):
                log.warning("%d job(s) were not started in time and are cancelled", len(ids))
            case WorkerStarted(worker, queues, names, concurrency, tags, all_tags):
                lists = (
                    _list(queues),
                    _list(names),
                    ", all tags" if all_tags else f", tags {_list(tags)}" if tags else "",
                )
                log.info("worker %s: %d at once, queues %s, jobs %s%s", worker, concurrency, *lists)
            case WorkerStopping(worker, running, grace):
                log.info("worker %s: stopping, %d running job(s) have %.0f s", worker, running, grace)
            case WorkerStopped(worker, performed, given_back):
                log.info("worker %s: stopped, %d performed, %d given back", worker, performed, given_back)
            case JobsEnqueued(jobs):
                log.debug("%d job(s) enqueued", len(jobs))
            case JobsChanged(verb, ids):
                log.info("%s: %d job(s)", verb, len(ids))
            case QueuesPaused(kind, values, paused):
                log.info("%s %s: %s", "paused" if paused else "resumed", kind, _list(values))
            case JobsPruned(ids):
                log.debug("%d job(s) pruned", len(ids))
            case AttemptStarted(claim):
                log.debug("%s: attempt %d", _job(claim), claim.attempt)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        claim, settlement = event.claim, event.settlement
        if settlement.state is COMPLETED and not log.isEnabledFor(logging.DEBUG):
            return
        error = settlement.error
        cause = f"{error.type}: {_first_line(error.message)}" if error else ""
        if settlement.state is State.COMPLETED:
            log.debug("%s: completed in %s", _job(claim), in_words(settlement.duration))
        elif settlement.state is State.RETRYABLE:
            log.warning(
                "%s: %s; attempt %d/%d, next in %s, gives up %s",
                _job(claim),
                cause,
                claim.failures + 1,
                claim.max_attempts,
                in_words(settlement.due.delay),
                self._gives_up(claim, settlement.due.delay),
            )
        elif settlement.state is State.DISCARDED:
            log.error("%s: %s; attempt %d/%d, discarded", _job(claim), cause, claim.failures + 1, claim.max_attempts)
        elif settlement.state is State.CANCELLED:
            log.info("%s: cancelled: %s", _job(claim), cause)
        else:
            log.debug("%s: %s in %s", _job(claim), settlement.state, in_words(settlement.due.delay))

    def _misfit(self, claim: Claim, reason: str) -> None:
        """Say it once a minute for each name: a deploy half done may have thousands of them."""
        now = self._now()
        if now - self._misfits.get(claim.name, -MINUTE) >= MINUTE:
            self._misfits[claim.name] = now
            log.warning("%s: misfit, given back uncounted: %s", _job(claim), _first_line(reason))

    def _gives_up(self, claim: Claim, next_in: int) -> str:
        """Say on which day the last attempt would fail if every one did."""
        backoff = self._backoff_of(claim.name)
        total = next_in
        try:
            for failures in range(claim.failures + 2, claim.max_attempts):
                total += wait_after(failures, backoff, 0.5)
        except ConfigurationError:
            return "at its last attempt"
        day = datetime.fromtimestamp(self._now() / SECOND, UTC) + timedelta(microseconds=total)
        return f"{day.day} {day:%b}" if total > 86_400 * SECOND else f"at {day:%H:%M} UTC"


def _job(claim: Claim) -> str:
    return f"{claim.name} {claim.id}"


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(values) or "none"


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0][:300]
