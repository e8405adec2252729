"""Listeners take the kinds of events they are for."""

from __future__ import annotations

from typing import assert_type

from stoker import Context, Middleware, NewJob, State, Stoker
from stoker.telemetry import AttemptEnded, AttemptStarted, Event, StoreBack

app: Stoker[None] = Stoker()


@app.on(AttemptEnded)
def ended(event: AttemptEnded) -> int:
    assert_type(event.settlement.state, State)
    return 1


@app.on(AttemptEnded, AttemptStarted)
async def either(event: AttemptEnded | AttemptStarted) -> None:
    assert_type(event.claim.name, str)


@app.on()
def everything(event: Event) -> None: ...


class Traces(Middleware):
    def enqueue(self, job: NewJob) -> NewJob:
        return job.changed(meta={"trace": 1}, queue="other")

    async def perform(self, context: Context, call_next: object) -> object:
        return None


def wrong(event: StoreBack) -> None: ...


app.on(AttemptEnded)(wrong)  # error: mypy arg-type; pyright reportArgumentType
app.on(int)  # error: mypy type-var; pyright reportCallIssue, reportArgumentType
app.on.end(ended)
Stoker(middleware=[Traces])  # error: mypy list-item; pyright reportArgumentType
