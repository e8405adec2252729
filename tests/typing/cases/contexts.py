"""A leading context belongs to the worker: callers do not see it, and its state has the application's type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_type

from stoker import JSON, AsyncJob, Context, Stoker, SyncJob


@dataclass
class State:
    url: str


@dataclass
class Other:
    number: int


@asynccontextmanager
async def lifespan(app: Stoker[State]) -> AsyncIterator[State]:
    yield State("postgresql://db/shop")


app = Stoker(lifespan=lifespan)
assert_type(app, Stoker[State])


@app.job
def fetch(ctx: Context[State], user_id: int) -> str:
    assert_type(ctx.state, State)
    assert_type(ctx.attempt, int)
    assert_type(ctx.cancelled, bool)
    return ctx.state.url * user_id


@app.job(queue="slow")
async def crawl(ctx: Context[State], depth: int, /, *, limit: int = 3) -> int:
    return len(ctx.state.url) + depth + limit


@app.job
def alone(ctx: Context[State]) -> None: ...


@app.job
def stateless(ctx: Context[Any], user_id: int) -> None: ...


@app.job
def bare(ctx: Context, user_id: int) -> None:
    assert_type(ctx.state, object)


@app.job
def plain(user_id: int) -> None: ...


assert_type(alone, SyncJob[[], None])
assert_type(plain(1), None)
fetch.enqueue(42)
fetch.enqueue(user_id=42)
crawl.enqueue(2, limit=1)
alone.enqueue()
stateless.enqueue(42)
bare.enqueue(42)

fetch.enqueue("42")  # error: mypy arg-type; pyright reportArgumentType
fetch.enqueue()  # error: mypy call-arg; pyright reportCallIssue
fetch.enqueue(None, 42)  # error: mypy call-arg, arg-type; pyright reportCallIssue
crawl.enqueue(depth=2)  # error: mypy call-arg; pyright reportCallIssue
bare.enqueue("42")  # error: mypy arg-type; pyright reportArgumentType
alone.enqueue(1)  # error: mypy call-arg; pyright reportCallIssue
# mypy gives up where the state is Any: more than one overload fits.
stateless.enqueue("42")  # error: pyright reportArgumentType


# A context of another application's state stays what it is, a parameter that nobody can give.
@app.job
def foreign(ctx: Context[Other], user_id: int) -> None: ...


foreign.enqueue(42)  # error: mypy call-arg, arg-type; pyright reportCallIssue


# A first parameter without annotation is an argument, not a context.
@app.job
def loose(user_id, count: int) -> int:  # error: mypy no-untyped-def
    return count


@app.job
async def loose_too(user_id, count: int) -> int:  # error: mypy no-untyped-def
    return count


loose.enqueue(42, 1)
loose_too.enqueue(42, 1)
loose.enqueue(42, "1")  # error: pyright reportArgumentType
loose_too.enqueue(42, "1")  # error: pyright reportArgumentType


# One annotated Any or object cannot be told from it: it is checked by position only. JSON can.
@app.job
def any_payload(payload: Any, count: int = 1) -> None: ...


@app.job
def json_payload(payload: JSON, count: int = 1) -> None: ...


any_payload.enqueue({"a": 1}, count=2)
json_payload.enqueue(payload={"a": 1}, count=2)
any_payload.enqueue({"a": 1}, "2")  # error: pyright reportArgumentType
any_payload.enqueue(payload={"a": 1})  # error: pyright reportCallIssue
json_payload.enqueue(payload=object())  # error: mypy arg-type; pyright reportArgumentType


def jobs() -> tuple[SyncJob[[int], str], AsyncJob[[], None]]:
    return fetch, plain  # error: mypy return-value; pyright reportReturnType


# What follows is a draft, not a job and not a handle.
@app.job
def follows(ctx: Context, n: int) -> None:
    ctx.then(plain.draft(n))
    ctx.then(fetch.using(delay="1m").draft(n))
    ctx.then(plain)  # error: mypy arg-type; pyright reportArgumentType
    ctx.then(fetch.draft("n"))  # error: mypy arg-type; pyright reportArgumentType
