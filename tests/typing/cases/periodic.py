"""Periodic jobs stay what they are, and their times are checked as far as types go."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from stoker import Context, Stoker

app: Stoker[None] = Stoker(name="shop")


@app.periodic("0 3 * * *", tz="Europe/Berlin", missed="all", jitter="5m", run_on_start=True)
@app.job
async def nightly(ctx: Context) -> int:
    assert_type(ctx.scheduled_at, datetime | None)
    return 1


@app.periodic(every="90m", args={"days": 7}, name="weekly")
@app.job
def report(days: int) -> str:
    return "x" * days


assert_type(report(7), str)
assert_type(report.enqueue(7).result(timeout=1), str)
app.periodic("@daily", report.draft(7), name="daily", missed="skip")
app.periodic(report.draft(days=7), every=5, name="often")

app.periodic("@daily", report.draft(7))  # error: mypy call-overload; pyright reportCallIssue
app.periodic("@daily", report.draft("7"), name="x")  # error: mypy arg-type; pyright reportArgumentType
app.periodic("@daily", every="5m")  # error: mypy call-overload; pyright reportCallIssue
app.periodic("@daily", missed="never")  # error: mypy call-overload; pyright reportArgumentType
app.periodic()  # error: mypy call-overload; pyright reportCallIssue
report.enqueue("7")  # error: mypy arg-type; pyright reportArgumentType
