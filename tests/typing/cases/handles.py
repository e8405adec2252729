"""A handle's result has the handler's return type; waiting for it is always said with a timeout."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

from stoker import JSON, Draft, JobHandle, JobRecord, State, Stoker

app: Stoker[None] = Stoker()


@app.job
def resize(width: int) -> tuple[int, int]:
    return width, width


@app.job
async def welcome(user_id: int) -> str:
    return str(user_id)


@app.job
def hook(payload: JSON) -> None: ...


async def use() -> None:
    job = resize.enqueue(1)
    assert_type(job.result(timeout="30s"), tuple[int, int])
    assert_type(job.result(timeout=None), tuple[int, int])
    assert_type(await job.aresult(timeout=5), tuple[int, int])
    assert_type(job.cancel(), State)
    assert_type(await job.acancel(), State)
    assert_type(job.fetch(), JobRecord[tuple[int, int]])
    assert_type((await job.afetch()).result, tuple[int, int] | None)
    assert_type(job.fetch().run_at, datetime)
    assert_type(job.fetch().finished_at, datetime | None)
    assert_type(job.duplicate, bool)
    assert_type(resize.handle("42").result(timeout=1), tuple[int, int])
    assert_type(app.handle("42"), JobHandle[Any])

    job.result()  # error: mypy call-arg; pyright reportCallIssue
    job.result(30)  # error: mypy call-arg; pyright reportCallIssue
    job.result(timeout=[])  # error: mypy arg-type; pyright reportArgumentType
    await job  # error: mypy misc; pyright reportGeneralTypeIssues
    wrong: str = job.result(timeout=1)  # error: mypy assignment; pyright reportAssignmentType
    print(wrong)


async def use_many() -> None:
    drafts = [resize.draft(width) for width in range(3)]
    assert_type(drafts, list[Draft[tuple[int, int]]])
    assert_type(app.enqueue_many(drafts), list[JobHandle[tuple[int, int]]])
    assert_type(await app.aenqueue_many(drafts), list[JobHandle[tuple[int, int]]])
    mixed: list[Draft[object]] = [resize.draft(1), welcome.draft(2)]
    assert_type(app.enqueue_many(mixed), list[JobHandle[object]])

    app.enqueue_many([1, 2])  # error: mypy arg-type; pyright reportArgumentType
    app.enqueue_many([resize])  # error: mypy arg-type; pyright reportArgumentType
    app.enqueue_many([resize.draft("1")])  # error: mypy arg-type; pyright reportArgumentType
    texts: list[JobHandle[str]] = app.enqueue_many(drafts)  # error: mypy arg-type; pyright reportAssignmentType
    print(texts)


hook.enqueue({"event": "push", "commits": [{"id": 1, "tags": None}]})
hook.enqueue({1, 2})  # error: mypy arg-type; pyright reportArgumentType
