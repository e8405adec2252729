"""How jobs are taken, and how attempts end: claim, settle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stoker.core.command import Command, Retry
from stoker.core.job import Claimed, JobId, State, Token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.gocraft.commands import Scripts, name_of, pool_of, speakable
from stoker.stores.gocraft.failing import Ended, ended, held
from stoker.stores.gocraft.intake import follow_args
from stoker.stores.gocraft.unique import key_in
from stoker.stores.gocraft.wire import read_claim
from stoker.stores.holding.commands import Arg
from stoker.stores.holding.settling import answers_of, sort_out
from stoker.stores.walks import Course


def claim(
    scripts: Scripts, demand: Mapping[str, int], names: Sequence[str], token: Token, worker: str, lease: int
) -> Command[Claimed]:
    """Take jobs from the right ends of their lists."""
    pool = pool_of(worker)
    args: list[Arg] = [lease, worker, pool, token, ""]
    keys = [*scripts.claim_keys(token), scripts.pool(pool)]
    known: list[str] = []
    for queue, limit in demand.items():
        lanes = [(name, name_of(queue, name)) for name in names if speakable(queue, name)]
        args += [queue, limit, len(lanes), *(word for lane in lanes for word in lane)]
        for _, known_as in lanes:
            keys += scripts.fetch_keys(known_as, pool)
            known.append(known_as)
    args[4] = ",".join(sorted(set(known)))

    def course() -> Course[Claimed]:
        found, due, now = yield scripts.script("claim", args, keys)
        yield from unlocked(scripts, token, pool, found)
        claims = [
            read_claim(_told(id), _told(queue), _told(name), payload, int(crashes), token, int(now))
            for id, queue, name, payload, crashes, *_ in found
        ]
        return Claimed(claims, int(due) if due else None, int(now))

    return scripts.walk("claim", course, Retry.KEYED)


def unlocked(scripts: Scripts, token: Token, pool: str, found: list[list[Any]]) -> Course[None]:
    """Free the keys of unique jobs, and put their newest arguments in the place of those that they came with."""
    ids: list[Arg] = []
    keys = scripts.claim_keys(token)[:1]
    places: list[int] = []
    for place, (id, queue, name, payload, *_) in enumerate(found):
        key = key_in(scripts, payload)
        if key is not None:
            ids.append(id)
            keys += [key, scripts.in_progress(name_of(_told(queue), _told(name)), pool)]
            places.append(place)
    if places:
        for place, payload in zip(places, (yield scripts.script("unlock", ids, keys)), strict=True):
            if payload:
                found[place][3] = payload


def _told(text: bytes) -> str:
    return text.decode(errors="replace")


def settle(scripts: Scripts, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
    """End attempts: what they hold is looked at first, because the lists they leave are named by it."""
    done, others = sort_out(settlements)
    ended_well = [Settlement(id, token, State.COMPLETED) for token, ids in done.items() for id in ids]
    return scripts.walk("settle", _course(scripts, settlements, [*ended_well, *others]), Retry.KEYED)


def _course(
    scripts: Scripts, settlements: Sequence[Settlement], endings: Sequence[Settlement]
) -> Callable[[], Course[dict[JobId, Settled]]]:
    def course() -> Course[dict[JobId, Settled]]:
        if not endings:
            return answers_of(settlements, {})
        tokens = list(dict.fromkeys(ending.token for ending in endings))
        place = {token: number for number, token in enumerate(tokens, 1)}
        peeked: list[Arg] = [len(tokens)]
        for ending in endings:
            peeked += [place[ending.token], ending.id, int(ending.state is State.COMPLETED)]
        claims = [scripts.claim_keys(token)[0] for token in tokens]
        now, pools, values = yield scripts.script("peek", peeked, claims)
        lanes = _Lanes(scripts, pools)
        args: list[Arg] = [len(endings)]
        follow_keys: list[str] = []
        words: list[tuple[Settlement, int, Ended]] = []
        for ending, value in zip(endings, values, strict=True):
            name, payload = held(value) if value and not value.startswith(b"\0") else ("", b"")
            lane = lanes.place(place[ending.token], name) if name else 0
            words.append((ending, lane, Ended("drop") if not lane else ended(ending, payload, int(now))))
        first = 2 * len(tokens) + len(lanes.keys)
        for ending, lane, end in words:
            due = ending.due
            at = "" if due.at is None else due.at
            args += [place[ending.token], ending.token, ending.id, ending.state, end.action]
            args += [lane, at, due.delay, end.payload]
            args += follow_args(ending, scripts, follow_keys, first)
        keys = [key for token in tokens for key in scripts.claim_keys(token)]
        head: list[Arg] = [len(tokens), len(lanes.pools), *lanes.pools]
        answers = yield scripts.script("settle", [*head, *args], [*keys, *lanes.keys, *follow_keys])
        said = {(one.id, one.token): Settled(word.decode()) for one, word in zip(endings, answers, strict=True)}
        return answers_of(settlements, said)

    return course


class _Lanes:
    """The lists that jobs leave, each with its pool, in the order in which they are first needed."""

    def __init__(self, scripts: Scripts, pools: Sequence[bytes]) -> None:
        self._scripts = scripts
        self._of_claim = [pool.decode() for pool in pools]
        self._places: dict[tuple[str, str], int] = {}
        self.pools: list[str] = []
        self.keys: list[str] = []

    def place(self, claim: int, name: str) -> int:
        """Give the number of the lane of a claim, counted from 1."""
        pool = self._of_claim[claim - 1]
        if (name, pool) not in self._places:
            self.pools.append(pool)
            self.keys += self._scripts.return_keys(name, pool)
            self._places[name, pool] = len(self.pools)
        return self._places[name, pool]
