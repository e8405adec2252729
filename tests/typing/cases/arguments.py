"""Arguments are checked by the handler's signature, whichever way a job is enqueued."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, assert_type

from stoker import Draft, JobHandle, Stoker

app: Stoker[None] = Stoker()


@app.job
def resize(path: Path, width: int = 800) -> tuple[int, int]:
    return len(str(path)), width


@app.job(queue="mail", timeout="30s")
async def welcome(user_id: int, *, subject: str = "") -> str:
    return f"{user_id}{subject}"


@app.job
def total(*numbers: int, **named: float) -> float:
    return sum(numbers) + sum(named.values())


async def use() -> None:
    # What fits.
    assert_type(resize.enqueue(Path("a.png"), width=400), JobHandle[tuple[int, int]])
    assert_type(await resize.aenqueue(Path("a.png")), JobHandle[tuple[int, int]])
    assert_type(resize.draft(Path("a.png"), 400), Draft[tuple[int, int]])
    assert_type(resize.using(delay="5m", priority=20).enqueue(Path("b.png")), JobHandle[tuple[int, int]])
    assert_type(welcome.enqueue(42, subject="Hello"), JobHandle[str])
    assert_type(total.enqueue(1, 2, third=3.5), JobHandle[float])

    # Calling a job runs its function.
    assert_type(resize(Path("a.png"), width=400), tuple[int, int])
    running: Coroutine[Any, Any, str] = welcome(42)
    assert_type(await running, str)

    # What does not.
    resize.enqueue("a.png")  # error: mypy arg-type; pyright reportArgumentType
    resize.enqueue()  # error: mypy call-arg; pyright reportCallIssue
    resize.enqueue(Path("a.png"), height=400)  # error: mypy call-arg; pyright reportCallIssue
    resize.enqueue(Path("a.png"), width="400")  # error: mypy arg-type; pyright reportArgumentType
    resize.using(delay="5m").enqueue(1)  # error: mypy arg-type; pyright reportArgumentType
    resize.draft("a.png")  # error: mypy arg-type; pyright reportArgumentType
    await resize.aenqueue("a.png")  # error: mypy arg-type; pyright reportArgumentType
    welcome.enqueue("42")  # error: mypy arg-type; pyright reportArgumentType
    welcome.enqueue(42, "Hello")  # error: mypy call-arg; pyright reportCallIssue
    await welcome.aenqueue("42")  # error: mypy arg-type; pyright reportArgumentType
    await welcome.using(queue="x").aenqueue("42")  # error: mypy arg-type; pyright reportArgumentType
    welcome.draft(subject="x")  # error: mypy call-arg; pyright reportCallIssue
    total.enqueue("1")  # error: mypy arg-type; pyright reportArgumentType
    total.enqueue(1, third="3")  # error: mypy arg-type; pyright reportArgumentType
    resize("a.png")  # error: mypy arg-type; pyright reportArgumentType
    await welcome("42")  # error: mypy arg-type; pyright reportArgumentType
