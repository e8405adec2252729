"""How jobs are taken, held and ended: claim, extend, settle, reclaim."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from stoker.core import expiry
from stoker.core.job import Claimed, Extended, JobId, Reclaimed, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.redis.commands import Arg
from stoker.stores.redis.wire import CODES, printable, read_claims


def claim_args(
    demand: Mapping[str, int],
    names: Sequence[str],
    routes: Sequence[str],
    token: Token,
    worker: str,
    lease: int,
    *,
    oldest: bool,
) -> list[Arg]:
    """Give what `claim.lua` takes."""
    args: list[Arg] = [token, printable(worker), lease, len(demand), len(names), len(routes)]
    for queue, limit in demand.items():
        args += [queue, limit]
    return [*args, *names, *routes, 1] if oldest else [*args, *names, *routes]


def claimed(token: Token) -> Callable[[Any], Claimed]:
    """Give the reader of a claim's reply."""

    def read(reply: Any) -> Claimed:
        claims, due, now = reply
        return Claimed(read_claims(claims, token), None if due is None else int(due), now)

    return read


def extend_args(tokens: Sequence[Token], lease: int, *, stopping: bool, started: Sequence[JobId]) -> list[Arg]:
    """Give what `extend.lua` takes."""
    return [lease, int(stopping), len(tokens), *tokens, *started]


def extended(reply: Any) -> Extended:
    """Read the answer of a heartbeat."""
    missing, cancel = reply
    return Extended(
        frozenset(Token(token.decode()) for token in missing), frozenset(JobId(id.decode()) for id in cancel)
    )


class Endings(msgspec.Struct):
    """The settlements of one call, sorted by what it takes to carry them out."""

    deleted: dict[Token, list[JobId]]
    completed: dict[tuple[int | None, Token], list[Settlement]]
    others: list[Settlement]


def sort_out(settlements: Sequence[Settlement]) -> Endings:
    """Sort settlements; of two for the same attempt the first counts, and `running` is no ending and left out."""
    if len({ending.id for ending in settlements}) < len(settlements):
        settlements = list({(ending.id, ending.token): ending for ending in reversed(settlements)}.values())
    deleted: defaultdict[Token, list[JobId]] = defaultdict(list)
    completed: defaultdict[tuple[int | None, Token], list[Settlement]] = defaultdict(list)
    others: list[Settlement] = []
    # The one loop over the endings of a busy worker: names are looked up once, and nothing is called that need not be.
    done, running, none = State.COMPLETED, State.RUNNING, "none"
    for ending in settlements:
        state = ending.state
        if state is not done or ending.error is not None or ending.counts != none:
            if state is not running:
                others.append(ending)
        elif ending.keep == 0:
            deleted[ending.token].append(ending.id)
        else:
            completed[ending.keep, ending.token].append(ending)
    return Endings(deleted, completed, others)


def settle_args(endings: Endings) -> list[Arg]:
    """Give what `settle.lua` takes."""
    args: list[Arg] = [len(endings.deleted)]
    for token, ids in endings.deleted.items():
        noted = stretches(ids)
        args += [token, len(noted), *noted]
    args.append(len(endings.completed))
    for (keep, token), group in endings.completed.items():
        args += ["" if keep is None else keep, token, len(group)]
        for ending in group:
            args += [ending.id, ending.duration, b"" if ending.result is None else printable(ending.result)]
    args.append(len(endings.others))
    for ending in endings.others:
        args += _one(ending)
    return args


def stretches(ids: Sequence[JobId]) -> Sequence[str]:
    """Write ids that follow each other as FIRST-LAST; most of those that end together were enqueued together."""
    if not all(map(str.isdecimal, ids)):
        return ids
    noted: list[str] = []
    numbers = sorted(map(int, ids))
    first = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number != last + 1:
            noted.append(str(first) if first == last else f"{first}-{last}")
            first = number
        last = number
    return noted


def settled(settlements: Sequence[Settlement]) -> Callable[[Any], dict[JobId, Settled]]:
    """Give the reader of the answers."""
    accepted: dict[JobId, Settled] = dict.fromkeys((ending.id for ending in settlements), Settled.ACCEPTED)
    running = State.RUNNING
    bad = any(ending.state is running for ending in settlements)

    def read(refused: list[bytes]) -> dict[JobId, Settled]:
        return _answers(settlements, refused) if refused or bad else accepted

    return read


def expire_args(limit: int) -> list[Arg]:
    """Give what `expire.lua` takes."""
    return [limit, b'"%s"' % b'","'.join(map(printable, (expiry.TYPE, expiry.MESSAGE, "", "")))]


def reclaimed(reply: Any) -> Reclaimed:
    """Read the answer of a reclaim."""
    available, cancelled, discarded = (tuple(JobId(id.decode()) for id in ids) for ids in reply)
    return Reclaimed(available, cancelled, discarded)


def _one(ending: Settlement) -> list[Arg]:
    error = ending.error
    failure = b""
    if error is not None:
        parts = (error.type, error.message, error.trace, error.worker)
        failure = b'"%s"' % b'","'.join(map(printable, parts))
    return [
        ending.id,
        ending.token,
        CODES[ending.state],
        "" if ending.due.at is None else ending.due.at,
        ending.due.delay,
        "" if ending.keep is None else ending.keep,
        b"" if ending.result is None else printable(ending.result),
        ending.duration,
        ending.counts,
        0 if error is None else error.attempt,
        failure,
    ]


def _answers(settlements: Sequence[Settlement], refused: list[bytes]) -> dict[JobId, Settled]:
    said = {
        (id.decode(), token.decode()): Settled(why.decode())
        for id, token, why in zip(refused[::3], refused[1::3], refused[2::3], strict=True)
    }
    answers: dict[JobId, Settled] = {}
    for ending in settlements:
        answer = said.get((ending.id, ending.token), Settled.ACCEPTED)
        if ending.state is State.RUNNING:
            answer = Settled.LOST
        if answers.get(ending.id) is not Settled.ACCEPTED:
            answers[ending.id] = answer
    return answers
