"""Commands of this store: a conversation with the broker each, because AMQP has no units of several steps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from stoker.core.command import Command, Retry
from stoker.stores.rabbitmq.session import Session

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Talk(Command[T_co]):
    """A command that is a coroutine over the process's session; without one ``read`` alone gives the answer."""

    course: Callable[[Session], Coroutine[Any, Any, T_co]] | None = None


def talk(verb: str, course: Callable[[Session], Coroutine[Any, Any, T]], retry: Retry = Retry.SAFE) -> Talk[T]:
    """Make the command of a verb."""
    return Talk(verb, (), _as_it_is, retry, course=course)


def known(verb: str, answer: Callable[[], T]) -> Talk[T]:
    """Make a command that needs no broker."""
    return Talk(verb, (), lambda _: answer(), writes=False)


def _as_it_is(answer: T) -> T:
    return answer
