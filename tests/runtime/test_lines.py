"""Log lines of attempts: what a handler logs, from wherever it does, is kept with its job, bounded."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Annotated, Any

import pytest

from stoker import BodyCodec, Context, Encrypt, Secret, Snooze, State, Stoker, fixed
from stoker.core.capability import Capability
from stoker.core.lines import LONGEST_LINE, MOST_CHARACTERS, Lines
from stoker.errors import ConfigurationError, DefinitionError, JobNotFound, Locked, StoreUnavailable
from stoker.jobs.sealing import Coded
from stoker.runtime.lines import Keeping
from tests.rigs.worker import Rig

log = logging.getLogger("shop.orders")


@pytest.fixture(autouse=True)
def _from_info_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def messages(handle: Any) -> list[list[str]]:
    return [[line.message for line in one.lines] for one in handle.logs()]


async def test_what_a_handler_logs_is_kept_with_its_job(rig: Rig) -> None:
    @rig.app.job(keep_logs=True)
    async def load(ctx: Context[None]) -> None:
        log.info("%s rows", 3)
        ctx.log.warning("slow")
        logging.getLogger("stoker").info("is no line of the handler")
        log.debug("is not logged at all")

    handle = load.enqueue()
    async with rig.working(until_empty=True):
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    (first,) = handle.logs()
    assert (first.attempt, first.start, first.lost) == (1, 1, 0)
    assert [(line.level, line.logger, line.message) for line in first.lines] == [
        ("INFO", "shop.orders", "3 rows"),
        ("WARNING", "stoker.job", "slow"),
    ]
    assert await handle.alogs() == (first,)
    assert str(first).startswith("attempt 1 (start 1)\n")
    assert str(first).endswith("WARNING stoker.job: slow")


async def test_a_job_that_does_not_ask_keeps_none_beside_one_that_does(rig: Rig) -> None:
    @rig.app.job(keep_logs=5)
    async def kept() -> None:
        log.info("kept")

    @rig.app.job
    async def plain() -> None:
        log.info("plain")

    handles = [kept.enqueue(), plain.enqueue()]
    async with rig.working():
        await rig.until(lambda: all(rig.state(one.id) is State.COMPLETED for one in handles))
    assert [messages(one) for one in handles] == [[["kept"]], []]


async def test_jobs_that_run_at_once_keep_each_its_own(rig: Rig) -> None:
    both = asyncio.Barrier(2)

    @rig.app.job(keep_logs=True)
    async def load(word: str) -> None:
        log.info("%s begins", word)
        await both.wait()
        await asyncio.gather(*(asyncio.to_thread(log.info, "%s %s", word, part) for part in range(1)))

    handles = [load.enqueue(word) for word in "ab"]
    async with rig.working():
        await rig.until(lambda: all(rig.state(one.id) is State.COMPLETED for one in handles))
    assert [messages(one) for one in handles] == [[["a begins", "a 0"]], [["b begins", "b 0"]]]


async def test_a_thread_s_lines_are_seen_while_it_runs(rig: Rig) -> None:
    go_on = threading.Event()

    @rig.app.job(keep_logs=True)
    def load() -> None:
        log.info("in a thread")
        go_on.wait(10)

    handle = load.enqueue()
    async with rig.working() as worker:
        await rig.until(lambda: worker._notes)
        await rig.pass_time(2)
        assert messages(handle) == [["in a thread"]]
        go_on.set()
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)


async def test_each_attempt_has_its_own_lines_and_the_earlier_ones_stay(rig: Rig) -> None:
    @rig.app.job(keep_logs=True, backoff=fixed(0))
    async def load(ctx: Context[None]) -> None:
        log.info("start %s", ctx.meta)
        if ctx.attempt == 1:
            try:
                raise ValueError("the line broke")
            except ValueError:
                log.exception("failed")
                raise
        if rig.find(ctx.id).snoozes == 0:
            raise Snooze(1)

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.find(handle.id).snoozes)
        await rig.pass_time(2)
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    logs = handle.logs()
    assert [(one.attempt, one.start, len(one.lines)) for one in logs] == [(1, 1, 2), (2, 2, 1), (2, 3, 1)]
    failed = logs[0].lines[1].message
    assert failed.startswith("failed\nTraceback")
    assert failed.endswith("ValueError: the line broke")


async def test_the_oldest_lines_go_and_how_many_is_said(rig: Rig) -> None:
    @rig.app.job(keep_logs=3)
    async def load() -> None:
        for number in range(10):
            log.info("line %s", number)

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    (first,) = handle.logs()
    assert (first.lost, [line.message for line in first.lines]) == (7, ["line 7", "line 8", "line 9"])
    assert "(7 earlier lines are not kept)" in str(first)


async def test_long_lines_are_cut_and_characters_are_bounded(rig: Rig) -> None:
    @rig.app.job(keep_logs=1000)
    async def load() -> None:
        for number in range(100):
            log.info("%02d%s", number, "x" * 100_000)

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    (first,) = handle.logs()
    assert {len(line.message) for line in first.lines} == {LONGEST_LINE}
    assert first.size <= MOST_CHARACTERS
    assert first.lost == 100 - len(first.lines)
    assert first.lines[-1].message.startswith("99x")


async def test_many_attempts_keep_the_latest_ones(rig: Rig) -> None:
    @rig.app.job(keep_logs=True, backoff=fixed(0))
    async def load(ctx: Context[None]) -> None:
        log.info("again")
        if ctx.attempt < 14:
            raise ConnectionError

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert [one.attempt for one in handle.logs()] == list(range(5, 15))


async def test_odd_lines_harm_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # Kept all the same; a report of pytest's that shows them cannot be sent from one process to another.
    monkeypatch.setattr(log, "propagate", False)

    @rig.app.job(keep_logs=True)
    async def load() -> None:
        logging.raiseExceptions = False
        log.info("%d rows", "three")
        log.info("a lone \ud800 and a \0")

    handle = load.enqueue()
    try:
        async with rig.working():
            await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    finally:
        logging.raiseExceptions = True
    (odd,) = messages(handle)
    assert odd[0].startswith("'%d rows' with ('three',): TypeError")
    assert odd[1] == "a lone \\ud800 and a \0"


async def test_secret_arguments_are_blanked_out(rig: Rig) -> None:
    @rig.app.job(keep_logs=True, codecs=[Encrypt(Encrypt.new_key("k"))])
    async def login(token: Annotated[str, Secret]) -> None:
        log.info("with %s", token)

    handle = login.enqueue("tok-12345")
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert messages(handle) == [["with [secret]"]]


class _Chatty(BodyCodec):
    """Says what it does."""

    name = "chatty"
    hides = True

    def encode(self, data: bytes, about: bytes) -> Coded:
        return Coded(data)

    def decode(self, data: bytes, note: str, about: bytes) -> bytes:
        log.info("opening")
        return data


class _Once(_Chatty):
    """Opens once; then its keys are away."""

    _opened = False

    def decode(self, data: bytes, note: str, about: bytes) -> bytes:
        if self._opened:
            raise Locked("the key service is away")
        self._opened = True
        return data


async def test_a_codec_that_logs_blocks_nobody_and_is_none_of_the_lines(rig: Rig) -> None:
    @rig.app.job(keep_logs=True, codecs=[_Chatty()])
    async def login(token: Annotated[str, Secret]) -> None:
        log.info("with %s", token)

    handle = login.enqueue("tok-12345")
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert messages(handle) == [["with [secret]"]]


@pytest.mark.parametrize("keep_logs", [True, False])
async def test_keys_that_go_away_while_a_job_runs_fail_neither_its_lines_nor_the_job(rig: Rig, keep_logs: bool) -> None:
    @rig.app.job(keep_logs=keep_logs, max_attempts=1, codecs=[_Once()])
    async def login(token: Annotated[str, Secret]) -> None:
        log.info("with %s", token)

    handle = login.enqueue("tok-12345")
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) in {State.COMPLETED, State.DISCARDED})
    assert rig.state(handle.id) is State.COMPLETED
    assert messages(handle) == ([["with [secret]"]] if keep_logs else [])


async def test_a_line_that_comes_while_another_is_taken_blocks_nobody(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Lines.add

    def add(self: Lines, line: Any) -> None:
        log.info("as a finalizer does, or what handles a signal")
        whole(self, line)

    monkeypatch.setattr(Lines, "add", add)

    @rig.app.job(keep_logs=True)
    async def load() -> None:
        log.info("loading")

    handle = load.enqueue()
    async with rig.working():
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert messages(handle) == [["loading"]]


async def test_a_line_is_kept_once_where_the_record_factory_was_wrapped_between_two_workers(rig: Rig) -> None:
    @rig.app.job(keep_logs=True)
    async def load() -> None:
        log.info("once")

    before = logging.getLogRecordFactory()
    try:
        rig.make()
        ours = logging.getLogRecordFactory()

        def theirs(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = ours(*args, **kwargs)
            record.msg = f"{record.msg}, as they have it"
            return record

        logging.setLogRecordFactory(theirs)
        handle = load.enqueue()
        async with rig.working():
            await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    finally:
        logging.setLogRecordFactory(before)
    assert messages(handle) == [["once, as they have it"]]


async def test_what_earlier_attempts_of_many_jobs_logged_is_asked_for_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = rig.store.logged, list[int]()

    def logged(ids: Any) -> Any:
        asked.append(len(ids))
        return whole(ids)

    monkeypatch.setattr(rig.store, "logged", logged)
    go_on = asyncio.Event()

    @rig.app.job(keep_logs=True, backoff=fixed(0))
    async def load(ctx: Context[None]) -> None:
        log.info("attempt %s", ctx.attempt)
        if ctx.attempt == 1:
            raise ConnectionError
        await go_on.wait()

    handles = [load.enqueue() for _ in range(3)]
    async with rig.working() as worker:
        await rig.until(lambda: all(rig.find(one.id).failures == 1 for one in handles))
        await rig.until(lambda: len(worker._notes._logged) == 3)
        await rig.pass_time(2)
        assert asked == [3]
        go_on.set()
        await rig.until(lambda: all(rig.state(one.id) is State.COMPLETED for one in handles))
    assert [messages(one) for one in handles] == [[["attempt 1"], ["attempt 2"]]] * 3


async def test_an_attempt_that_keeps_no_lines_has_nothing_around_it_beside_one_that_does(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, around = Keeping.around, list[str]()

    def seen(self: Keeping, claim: Any, *more: Any) -> Any:
        around.append(claim.name)
        return whole(self, claim, *more)

    monkeypatch.setattr(Keeping, "around", seen)

    @rig.app.job(keep_logs=True)
    async def kept() -> None: ...

    @rig.app.job
    async def plain() -> None: ...

    handles = [kept.enqueue(), plain.enqueue()]
    async with rig.working():
        await rig.until(lambda: all(rig.state(one.id) is State.COMPLETED for one in handles))
    assert around == ["kept"]


async def test_a_worker_whose_store_keeps_no_notes_refuses_to_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    @rig.app.job(keep_logs=True)
    async def load() -> None: ...

    monkeypatch.setattr(type(rig.store), "capabilities", rig.store.capabilities & ~Capability.NOTE)
    with pytest.raises(ConfigurationError, match=r"load: keep_logs= needs a store .* lacks NOTE"):
        rig.make()


async def test_what_an_attempt_left_running_is_none_of_its_lines(rig: Rig) -> None:
    late: list[asyncio.Task[None]] = []
    go_on = asyncio.Event()

    @rig.app.job(keep_logs=True)
    async def load() -> None:
        async def linger() -> None:
            await go_on.wait()
            log.info("late")

        log.info("in time")
        late.append(asyncio.ensure_future(linger()))

    handle = load.enqueue()
    async with rig.working() as worker:
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
        go_on.set()
        await late[0]
        assert not worker._notes
    assert messages(handle) == [["in time"]]


async def test_earlier_lines_are_not_lost_where_the_store_does_not_answer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rig.store.logged

    @rig.app.job(keep_logs=True, backoff=fixed(0))
    async def load(ctx: Context[None]) -> None:
        log.info("attempt %s", ctx.attempt)
        if ctx.attempt == 1:
            raise ConnectionError
        monkeypatch.setattr(rig.store, "logged", _unavailable)

    handle = load.enqueue()
    async with rig.working() as worker:
        await rig.until(lambda: rig.find(handle.id).failures == 1 and rig.store.logged is _unavailable)
        assert worker._notes
        monkeypatch.setattr(rig.store, "logged", whole)
        await rig.pass_time(1)
        await rig.until(lambda: rig.state(handle.id) is State.COMPLETED)
    assert messages(handle) == [["attempt 1"], ["attempt 2"]]


def _unavailable(*_: object) -> Any:
    raise StoreUnavailable("away")


async def test_an_unknown_job_has_no_logs(rig: Rig) -> None:
    with pytest.raises(JobNotFound, match="no job 77"):
        rig.app.handle("77").logs()


@pytest.mark.parametrize("value", [-1, 1001, 2.5, "all", [3]])
def test_what_is_no_number_of_lines_is_refused(value: Any) -> None:
    app: Stoker[Any] = Stoker("memory://")

    with pytest.raises(DefinitionError, match=r"keep_logs: .*: write True for the latest 200 lines"):

        @app.job(keep_logs=value)
        def load() -> None: ...


def test_none_and_false_keep_nothing() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(keep_logs=False)
    def load() -> None: ...

    assert load.rules.keep_logs == 0
