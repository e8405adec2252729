"""The typed fields of a class job are its arguments; a remote job has the signature of its stub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

import msgspec

from stoker import AsyncJob, Context, JobHandle, Stoker, SyncJob

app: Stoker[str] = Stoker()


@dataclass
class Resize:
    path: str
    width: int = 800

    def perform(self) -> tuple[int, int]:
        return len(self.path), self.width


class Crawl(msgspec.Struct):
    url: str

    async def perform(self, ctx: Context[str]) -> int:
        return len(self.url + ctx.state)


@dataclass
class Report:
    day: str

    def perform(self, ctx: Context[str]) -> bytes:
        return (self.day + ctx.state).encode()


@dataclass
class Foreign:
    day: str

    def perform(self, ctx: Context[int]) -> None: ...


@dataclass
class Nothing:
    day: str


resize = app.register(Resize, queue="images")
crawl = app.register(Crawl)
report = app.register(Report)

assert_type(resize.enqueue("a.png", width=400), JobHandle[tuple[int, int]])
assert_type(crawl.enqueue("https://example.org"), JobHandle[int])
assert_type(report.enqueue(day="monday"), JobHandle[bytes])
assert_type(resize("a.png"), tuple[int, int])
sync_job: SyncJob[..., tuple[int, int]] = resize
async_job: AsyncJob[..., int] = crawl

resize.enqueue(1)  # error: mypy arg-type; pyright reportArgumentType
resize.enqueue("a.png", height=1)  # error: mypy call-arg; pyright reportCallIssue
crawl.enqueue(1)  # error: mypy arg-type; pyright reportArgumentType
report.enqueue()  # error: mypy call-arg; pyright reportCallIssue
app.register(Foreign)  # error: mypy arg-type; pyright reportCallIssue, reportArgumentType
app.register(Nothing)  # error: mypy arg-type; pyright reportCallIssue, reportArgumentType
app.register(Resize, queu="images")  # error: mypy call-overload; pyright reportCallIssue


@app.remote(name="ruby.Mail", queue="ruby")
def ruby_mail(user_id: int, subject: str = "") -> None: ...


ruby_mail.enqueue(42, subject="Hello")
ruby_mail.enqueue("42")  # error: mypy arg-type; pyright reportArgumentType
app.remote(name="ruby.Mail")  # error: mypy call-arg; pyright reportCallIssue
