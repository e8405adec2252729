"""Options are checked by name and type, in the decorator and in `using`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stoker import JobOptions, Stoker, Unique, exponential, fixed

app: Stoker[None] = Stoker()


@app.job(
    name="mail.welcome",
    aliases=["welcome"],
    queue="mail",
    priority=10,
    max_attempts=5,
    crash_limit=2,
    backoff=exponential("1s", maximum="1h"),
    retry_on=(OSError, TimeoutError),
    discard_on=ValueError,
    timeout="none",
    slow_after=timedelta(minutes=1),
    max_snoozes=10,
    unique=Unique(by=("user_id",), within="1h", on_conflict="replace"),
    labels=["mail"],
    meta={"team": {"name": "growth", "size": 3}},
    keep="forever",
    keep_failed=0,
    store="default",
)
def welcome(user_id: int) -> None: ...


@app.job(backoff=lambda failures: failures * 60)
def minutes() -> None: ...


shared: JobOptions = {"queue": "mail", "timeout": 30}


@app.job(**shared)
def reminder(user_id: int) -> None: ...


reminder.enqueue(1)
welcome.using(delay=30, queue="later", priority=-5, unique=False, labels=["x"], meta={"a": 1}).enqueue(1)
welcome.using(at=datetime(2030, 1, 1, tzinfo=UTC), max_attempts=1, keep="1d", transaction=object()).enqueue(1)
welcome.using(delay=None, store="other").enqueue(1)

welcome.using(dely="5m")  # error: mypy call-arg; pyright reportCallIssue
welcome.using(delay=[])  # error: mypy arg-type; pyright reportArgumentType
welcome.using(at="2030-01-01")  # error: mypy arg-type; pyright reportArgumentType
welcome.using(priority="high")  # error: mypy arg-type; pyright reportArgumentType
welcome.using(labels=3)  # error: mypy arg-type; pyright reportArgumentType
welcome.using(timeout="1s")  # error: mypy call-arg; pyright reportCallIssue
welcome.using("5m")  # error: mypy call-arg; pyright reportCallIssue
Unique(on_conflict="refuse")  # error: mypy arg-type; pyright reportArgumentType
fixed()  # error: mypy call-arg; pyright reportCallIssue

app.job(queu="mail")  # error: mypy call-overload; pyright reportCallIssue
app.job(priority="high")  # error: mypy call-overload; pyright reportArgumentType
app.job(timeout=[])  # error: mypy call-overload; pyright reportArgumentType
app.job("mail")  # error: mypy call-overload; pyright reportCallIssue, reportArgumentType
