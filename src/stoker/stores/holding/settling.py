"""Settlements before they are sent, and answers put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from stoker.core.job import JobId, State, Token
from stoker.core.settlement import Settled, Settlement


def sort_out(settlements: Sequence[Settlement]) -> tuple[dict[Token, list[JobId]], list[Settlement]]:
    """Part the endings that leave nothing from the others; of two for the same attempt the first counts."""
    done: defaultdict[Token, list[JobId]] = defaultdict(list)
    others: list[Settlement] = []
    unique = {(ending.id, ending.token): ending for ending in reversed(settlements)}
    for ending in reversed(unique.values()):
        if ending.state is State.COMPLETED and not ending.then:
            done[ending.token].append(ending.id)
        elif ending.state is not State.RUNNING:
            others.append(ending)
    return done, others


def answers_of(settlements: Sequence[Settlement], said: Mapping[tuple[JobId, Token], Settled]) -> dict[JobId, Settled]:
    """Give the answer of each job; what nobody said anything of was accepted."""
    answers: dict[JobId, Settled] = {}
    for ending in settlements:
        answer = said.get((ending.id, ending.token), Settled.ACCEPTED)
        if ending.state is State.RUNNING:
            answer = Settled.LOST
        elif answer is Settled.REPEATED and ending.keep == 0:
            answer = Settled.GONE
        if answers.get(ending.id) is not Settled.ACCEPTED:
            answers[ending.id] = answer
    return answers
