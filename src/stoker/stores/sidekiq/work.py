"""How jobs are taken and held, and how attempts end: claim, extend, settle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stoker.core.command import Command, Retry
from stoker.core.duration import SECOND
from stoker.core.job import Claimed, JobId, Token
from stoker.core.settlement import Settled, Settlement
from stoker.stores.holding.settling import answers_of, sort_out
from stoker.stores.sidekiq.commands import Arg, Scripts
from stoker.stores.sidekiq.failing import Ended, ended
from stoker.stores.sidekiq.intake import follow_args
from stoker.stores.sidekiq.urls import SidekiqUrl
from stoker.stores.sidekiq.wire import read_claim
from stoker.stores.walks import Course

ASIDE = 60 * SECOND
"""How long a job of an unknown class is away from its queue."""


def claim(
    scripts: Scripts,
    demand: Mapping[str, int],
    names: Sequence[str],
    routes: Sequence[str],
    token: Token,
    worker: str,
    lease: int,
) -> Command[Claimed]:
    """Take jobs from the right ends of their lists."""
    args: list[Arg] = [lease, worker, len(names), len(routes), ASIDE, token, *names, *routes]
    for queue, limit in demand.items():
        args += [queue, limit]
    keys = [*scripts.claim_keys(token), *map(scripts.queue, demand)]
    fallback = names[0] if names else ""

    def read(reply: Any) -> Claimed:
        claims, due, now = reply
        micros = int(now)
        found = [
            read_claim(id, queue, payload, crashes, token, fallback, micros)
            for id, queue, payload, crashes, *_ in claims
        ]
        return Claimed(found, int(due) if due else None, micros)

    return scripts.command("claim", args, read, Retry.KEYED, more=keys)


# -- settle ------------------------------------------------------------------------------------------------------------


def settle(scripts: Scripts, url: SidekiqUrl, settlements: Sequence[Settlement]) -> Command[dict[JobId, Settled]]:
    """End attempts: in one script where all of them leave nothing, else what they hold is read first."""
    done, others = sort_out(settlements)
    if not others:
        args, keys = _complete_args(scripts, done)
        return scripts.command(
            "settle",
            args,
            lambda reply: answers_of(settlements, _refused(reply)),
            Retry.KEYED,
            more=keys,
            script="complete",
        )
    return scripts.walk("settle", _course(scripts, url, settlements, done, others), Retry.KEYED)


def _course(
    scripts: Scripts,
    url: SidekiqUrl,
    settlements: Sequence[Settlement],
    done: dict[Token, list[JobId]],
    others: list[Settlement],
) -> Callable[[], Course[dict[JobId, Settled]]]:
    def course() -> Course[dict[JobId, Settled]]:
        said: dict[tuple[JobId, Token], Settled] = {}
        if done:
            args, keys = _complete_args(scripts, done)
            said = _refused((yield scripts.script("complete", args, keys)))
        tokens = list(dict.fromkeys(ending.token for ending in others))
        place = {token: number for number, token in enumerate(tokens, 1)}
        peeked: list[Arg] = []
        for ending in others:
            peeked += [place[ending.token], ending.id]
        now, held = yield scripts.script("peek", peeked, [scripts.claim_keys(token)[0] for token in tokens])
        args = [url.stamps, len(tokens), len(others)]
        keys = [key for token in tokens for key in scripts.claim_keys(token)]
        for ending, value in zip(others, held, strict=True):
            args += [place[ending.token], ending.token, ending.id, ending.state]
            args += _moved(scripts, ended(ending, value or None, int(now), url.stamps), ending, keys)
            args += follow_args(ending, url, scripts, keys)
        answers = yield scripts.script("settle", args, keys)
        said |= {(one.id, one.token): Settled(word.decode()) for one, word in zip(others, answers, strict=True)}
        return answers_of(settlements, said)

    return course


def _moved(scripts: Scripts, ending: Ended, settlement: Settlement, keys: list[str]) -> list[Arg]:
    if ending.action == "back":
        keys.append(scripts.queue(ending.queue))
    due = settlement.due
    at = "" if due.at is None else due.at
    return [ending.action, len(keys), ending.queue, at, due.delay, ending.payload, ending.counts]


def _complete_args(scripts: Scripts, done: dict[Token, list[JobId]]) -> tuple[list[Arg], list[str]]:
    args: list[Arg] = [len(done)]
    keys: list[str] = []
    for token, ids in done.items():
        args += [token, len(ids), *ids]
        keys += scripts.claim_keys(token)
    return args, keys


def _refused(reply: list[list[bytes]]) -> dict[tuple[JobId, Token], Settled]:
    return {(JobId(id.decode()), Token(token.decode())): Settled(why.decode()) for token, id, why in reply}
