"""Bodies that go through codecs: compressed, encrypted, opened again, or given back by who cannot open them."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker import BodyCodec, Compress, Encrypt, State, Stoker, Unique
from stoker.core.filters import Filter
from stoker.core.job import NewJob, new_call
from stoker.errors import ArgumentsError, Corrupt, DefinitionError, Locked, ResultUnavailable
from stoker.jobs.sealing import Coded, is_sealed, seal, unseal
from stoker.telemetry.events import JobMisfit
from stoker.testing import Sandbox, sandbox
from tests.rigs.worker import Rig

ONE, TWO = Encrypt.new_key("one"), Encrypt.new_key("two")
ABOUT = ("args", "job")


def made(*codecs: BodyCodec, **options: Any) -> tuple[Stoker[Any], Any]:
    app: Stoker[Any] = Stoker("memory://", **options)

    @app.job(codecs=codecs)
    def save(text: str, times: int = 1) -> str:
        return text * times

    return app, save


def stored(box: Sandbox) -> Any:
    """Give the job's row."""
    store = box.app.store()
    return store.run(store.find(Filter(), 1))[0]


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codecs", [(Compress(above=0),), (Encrypt(ONE),), (Compress(above=0), Encrypt(ONE))], ids=repr)
@given(text=st.text())
def test_what_was_sealed_comes_back(codecs: tuple[BodyCodec, ...], text: str) -> None:
    text = json.dumps([text, "x" * 200])
    sealed = seal(text, codecs, ABOUT)

    assert is_sealed(sealed)
    assert unseal("job", sealed, codecs, [ABOUT]) == text


def test_arguments_and_result_are_sealed_in_the_store_and_plain_to_those_who_hold_the_key() -> None:
    app, save = made(Compress(above=0), Encrypt(ONE))
    with sandbox(app) as box:
        handle = save.enqueue("plain words " * 50)
        assert box.drain().completed == 1
        job = stored(box)
        assert job.version == 2
        for text in (job.args, job.result):
            assert is_sealed(text)
            assert "plain words" not in text
        assert handle.result(timeout=0) == "plain words " * 50
        box.assert_enqueued(save, args={"times": 1})
        box.assert_enqueued(save.draft("plain words " * 50))


def test_small_bodies_are_not_compressed_and_stay_readable() -> None:
    app, save = made(Compress(above=1000))
    with sandbox(app) as box:
        save.enqueue("small")
        assert (stored(box).args, stored(box).version) == ('{"text":"small"}', 1)
        save.enqueue("large" * 1000)
        assert stored(box).version == 2
        assert len(stored(box).args) < 500


def test_a_job_without_codecs_is_stored_as_ever() -> None:
    app, save = made()
    with sandbox(app) as box:
        save.enqueue("x")
        assert (stored(box).args, stored(box).version) == ('{"text":"x"}', 1)


def test_the_same_arguments_never_look_the_same_twice() -> None:
    codec = Encrypt(ONE)

    assert seal("{}", [codec], ABOUT) != seal("{}", [codec], ABOUT)


def test_perform_and_the_foreground_go_through_the_codecs_too() -> None:
    app, save = made(Encrypt(ONE))
    with sandbox(app) as box:
        assert box.perform(save, "x", times=2) == "xx"
    app, save = made(Encrypt(ONE), settings={"workers": {"mode": "foreground"}})
    assert save.enqueue("y").result(timeout=0) == "y"


def test_jobs_from_before_the_codecs_are_performed() -> None:
    app, save = made(Encrypt(ONE))
    with sandbox(app) as box:
        store = app.store()
        (answer,) = store.run(store.enqueue([NewJob("save", '{"text":"from a trigger"}')], new_call()))
        box.drain()
        assert save.handle(answer.id).result(timeout=0) == "from a trigger"


def test_a_renamed_job_opens_what_was_sealed_under_the_old_name() -> None:
    app, save = made(Encrypt(ONE))
    renamed: Stoker[Any] = Stoker("memory://")

    @renamed.job(aliases=["save"], codecs=[Encrypt(ONE)])
    def keep(text: str, times: int = 1) -> str:
        return text

    with sandbox(app) as box:
        save.enqueue("x")
        job = stored(box)
    with sandbox(renamed) as other:
        store = renamed.store()
        store.run(store.enqueue([NewJob("save", job.args, version=job.version)], new_call()))
        assert other.drain().completed == 1


def test_replaced_arguments_are_sealed_too() -> None:
    app, save = made(Encrypt(ONE))
    with sandbox(app) as box:
        latest = save.using(unique=Unique(by="times", on_conflict="replace"))
        latest.enqueue("first")
        latest.enqueue("second")
        assert is_sealed(stored(box).args)
        box.drain()
        box.assert_enqueued(save, args={"text": "second"}, count=1)


def test_a_replay_is_as_sealed_as_the_job_was() -> None:
    app, save = made(Encrypt(ONE))
    with sandbox(app) as box:
        save.enqueue("x")
        box.drain()
        (again,) = app.operations().replay(Filter())
        box.drain()
        assert save.handle(again).result(timeout=0) == "x"


# -- keys --------------------------------------------------------------------------------------------------------------


def test_the_first_key_encrypts_and_all_open() -> None:
    old = seal("[1]", [Encrypt(ONE)], ABOUT)
    both = Encrypt([TWO, ONE])

    assert unseal("job", old, [both], [ABOUT]) == "[1]"
    assert json.loads(seal("[1]", [both], ABOUT))["@sealed"] == [["aes-256-gcm", "two"]]
    with pytest.raises(Locked, match="encrypted with the key 'one', which is not here; here are two"):
        unseal("job", old, [Encrypt(TWO)], [ABOUT])


def test_keys_are_a_list_a_text_with_commas_or_a_function_that_is_asked_when_needed() -> None:
    asked: list[int] = []

    def fetch() -> str:
        asked.append(1)
        return f"{TWO}, {ONE}"

    late = Encrypt(fetch)
    assert asked == []
    sealed = seal("[]", [late], ABOUT)
    for codec in (late, Encrypt(f"{ONE},{TWO}"), Encrypt([ONE, TWO])):
        assert unseal("job", sealed, [codec], [ABOUT]) == "[]"
    assert asked == [1]


def test_a_changed_body_another_jobs_body_and_another_key_of_that_id_do_not_open() -> None:
    codec = Encrypt(ONE)
    sealed = json.loads(seal("[1]", [codec], ABOUT))
    changed = json.dumps(
        {**sealed, "body": "A" + sealed["body"][1:] if sealed["body"][0] != "A" else "B" + sealed["body"][1:]}
    )

    for body, opener, about in (
        (changed.replace(": ", ":"), codec, ABOUT),
        (json.dumps(sealed).replace(": ", ":"), codec, ("args", "other")),
        (json.dumps(sealed).replace(": ", ":"), codec, ("result", "job")),
        (json.dumps(sealed).replace(": ", ":"), Encrypt(Encrypt.new_key("one")), ABOUT),
    ):
        with pytest.raises(Locked, match="the key 'one' does not open it"):
            unseal("job", body, [opener], [about])


@pytest.mark.parametrize("id", ["a,b", "a:b", "a b", "x" * 65])
def test_a_key_is_not_made_with_an_id_that_could_not_be_read(id: str) -> None:
    with pytest.raises(DefinitionError, match="write 1 to 64 letters, digits"):
        Encrypt.new_key(id)


@pytest.mark.parametrize("wrong", [{"above": "1 KiB"}, {"most": "1 MiB"}, {"level": "high"}])
def test_compression_is_told_numbers(wrong: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"Compress: .*: write an integer"):
        Compress(**wrong)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "no keys"),
        ([], "no keys"),
        ("secretkey", "a key has no id"),
        (b"x" * 32, "the keys are of type bytes: write a text ID:BASE64"),
        (None, "the keys are of type NoneType: write a text"),
        ([b"x"], "the keys are of type list: write a text"),
        ("k:c2hvcnQ=", "the key 'k' is not 32 bytes in base64"),
        ("k:???", "the key 'k' is not 32 bytes in base64"),
        pytest.param(f"{ONE},{ONE}", "two keys have the same id", id="twice the same id"),
        ("two words:x", "letters, digits"),
    ],
)
def test_wrong_keys_are_refused_at_once_and_never_shown(keys: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as raised:
        Encrypt(keys)
    assert "c2hvcnQ" not in str(raised.value)
    assert "secretkey" not in str(raised.value)


def test_a_key_is_never_printed() -> None:
    assert repr(Encrypt(ONE)) == "Encrypt(…)"


def test_a_key_made_without_an_id_has_one_of_its_own() -> None:
    id, _, _ = Encrypt.new_key().partition(":")

    assert len(id) == 8
    assert Encrypt.new_key() != Encrypt.new_key()


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    app, save = made(Encrypt(ONE))
    with sandbox(app), pytest.raises(Exception, match=r'pip install "stoker\[crypto\]"'):
        save.enqueue("x")


# -- those who cannot open it ------------------------------------------------------------------------------------------


@pytest.fixture
def sealed() -> Iterator[NewJob]:
    app, save = made(Compress(above=0), Encrypt(ONE))
    with sandbox(app) as box:
        save.enqueue("x" * 500)
        job = stored(box)
        yield NewJob("save", job.args, version=job.version)


def worked_on(rig: Rig, job: NewJob, *codecs: BodyCodec) -> str:
    @rig.app.job(codecs=codecs)
    async def save(text: str, times: int = 1) -> str:
        return text

    return rig.store.run(rig.store.enqueue([job], new_call()))[0].id


@pytest.mark.parametrize(
    ("codecs", "reason"),
    [
        ((Compress(), Encrypt(TWO)), "encrypted with the key 'one', which is not here; here are two"),
        ((Compress(), Encrypt(Encrypt.new_key("one"))), "the key 'one' does not open it"),
        ((Encrypt(ONE),), "sealed with 'zlib', which the job does not name here"),
        ((), "sealed with 'zlib'"),
        ((Compress(most=100), Encrypt(ONE)), r"more than 100 bytes \(Compress\(most=…\)\)"),
        ((Compress(), Encrypt(lambda: os.environ["NO_SUCH_KEYS"])), "cannot be opened: KeyError"),
    ],
    ids=["missing key", "wrong key", "missing codec", "no codecs", "too large", "no keys to be had"],
)
async def test_who_cannot_open_a_job_gives_it_back_uncounted_and_never_discards_it(
    sealed: NewJob, codecs: tuple[BodyCodec, ...], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig()
    id = worked_on(rig, sealed, *codecs)
    for _ in range(2):
        async with rig.working():
            await rig.settle_down()
        job = rig.find(id)
        assert (job.state, job.failures, job.errors) == (State.SCHEDULED, 0, ())
        rig.clock.advance("3d")
    (first, second) = rig.seen(JobMisfit)
    assert first.reason == second.reason
    assert re.search(reason, first.reason), first.reason
    assert any("misfit, given back uncounted: " in record.getMessage() for record in caplog.records)


async def test_an_older_worker_gives_a_sealed_job_back(sealed: NewJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoker.runtime.executor.BODY_VERSION", 1)
    rig = Rig()
    id = worked_on(rig, sealed, Compress(), Encrypt(ONE))
    async with rig.working():
        await rig.settle_down()
    assert (rig.find(id).state, rig.find(id).failures) == (State.SCHEDULED, 0)


async def test_a_newer_format_is_given_back_for_ever(sealed: NewJob) -> None:
    rig = Rig()
    id = worked_on(rig, msgspec.structs.replace(sealed, version=99), Compress(), Encrypt(ONE))
    for _ in range(2):
        async with rig.working():
            await rig.settle_down()
        assert rig.find(id).state is State.SCHEDULED
        rig.clock.advance("3d")


@pytest.mark.parametrize(
    "text", ['{"@sealed":1}', '{"@sealed":[["zlib",""]],"body":"???"}', '{"@sealed":[["zlib",""]],"body":"eHh4"}']
)
def test_what_no_key_could_ever_open_is_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        unseal("job", text, [Compress()], [ABOUT])


def test_a_result_that_cannot_be_opened_is_unavailable() -> None:
    app, save = made(Encrypt(ONE))
    _, same = made(Encrypt(TWO))
    with sandbox(app) as box:
        save.enqueue("x")
        box.drain()
        text = stored(box).result
    with pytest.raises(ResultUnavailable, match="the key 'one'"):
        same.read_result(text)


# -- sizes -------------------------------------------------------------------------------------------------------------


def test_the_bound_on_arguments_is_on_what_is_stored() -> None:
    app, save = made(Compress(), settings={"jobs": {"max_args": 2000}})
    with sandbox(app) as box:
        save.enqueue("x" * 100_000)
        box.assert_enqueued(save)
    app, save = made(Encrypt(ONE), settings={"jobs": {"max_args": 2000}})
    with sandbox(app), pytest.raises(ArgumentsError, match=r"bytes of arguments, at most 2000 \(jobs.max_args\)"):
        save.enqueue("x" * 1900)


def test_compression_has_a_bound_of_its_own() -> None:
    app, save = made(Compress(most=1000))
    with sandbox(app), pytest.raises(ArgumentsError, match=r"at most 1000 \(Compress\(most=…\)\)"):
        save.enqueue("x" * 1000)


def test_many_sealed_jobs_fit_the_calls_they_are_stored_in() -> None:
    app, save = made(Encrypt(ONE), settings={"jobs": {"max_args": "8 MiB"}})
    with sandbox(app):
        assert len(app.enqueue_many([save.draft("x" * 3_000_000) for _ in range(6)], atomic=False)) == 6


# -- codecs of one's own -----------------------------------------------------------------------------------------------


def test_a_codec_of_ones_own_may_put_large_bodies_elsewhere(tmp_path: Path) -> None:
    class Offload(BodyCodec):
        name = "files"

        def encode(self, data: bytes, about: bytes) -> Coded | None:
            if len(data) < 100:
                return None
            path = tmp_path / f"{len(list(tmp_path.iterdir()))}"
            path.write_bytes(data)
            return Coded(b"", path.name)

        def decode(self, data: bytes, note: str, about: bytes) -> bytes:
            return (tmp_path / note).read_bytes()

    app, save = made(Encrypt(ONE), Offload())
    with sandbox(app) as box:
        handle = save.enqueue("x" * 10_000)
        assert len(stored(box).args) < 100
        box.drain()
        assert handle.result(timeout=0) == "x" * 10_000
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        (Compress(), r"write a list, e.g. codecs=\[Compress\(\), Encrypt\(keys\)\]"),
        ([Compress], "is no codec"),
        (["zlib"], "'zlib' is no codec"),
        ([Compress(), Compress()], "two codecs are named 'zlib'"),
        ([Encrypt(ONE), Compress()], r"put Compress\(\) first"),
    ],
)
def test_wrong_chains_are_refused(codecs: Any, message: str) -> None:
    app: Stoker[Any] = Stoker("memory://")
    with pytest.raises(DefinitionError, match=message):
        app.job(name="noop", codecs=codecs)(lambda: None)


@pytest.mark.parametrize("wrong", [{"level": 10}, {"above": -1}, {"most": 0}])
def test_wrong_bounds_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(DefinitionError, match="Compress: "):
        Compress(**wrong)
