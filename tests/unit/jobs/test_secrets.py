"""Secret arguments: nobody but the handler sees them."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Optional

import msgspec
import pytest
from click.testing import CliRunner

from stoker import Cancel, Compress, Discard, Encrypt, Limit, Middleware, Rate, Secret, State, Stoker, Unique
from stoker.core.hiding import blanked
from stoker.errors import ArgumentsError, DefinitionError, Misfit
from stoker.jobs.hiding import holds_secret, texts_in
from stoker.telemetry import Event
from stoker.testing import sandbox

KEY = Encrypt.new_key("k")
TOKEN = "tok-3n'\"\n\\é-value"
Password = Annotated[str, Secret]


@dataclass
class Login:
    user: str
    password: Annotated[str, Secret]


def application(*layers: Middleware) -> tuple[Stoker[Any], Any]:
    app: Stoker[Any] = Stoker("memory://", middleware=layers)

    @app.job(codecs=[Compress(above=0), Encrypt(KEY)], max_attempts=3)
    def login(user: int, token: Annotated[str, Secret]) -> int:
        match user:
            case 1:
                raise ValueError(f"refused: {token}")
            case 2:
                try:
                    raise KeyError(token)
                except KeyError as error:
                    raise ValueError("no") from error
            case 3:
                raise Cancel(f"cancelled {token!r}")
            case 4:
                raise Discard(json.dumps({"why": token}))
            case _:
                return user

    return app, login


def spellings() -> list[str]:
    return [TOKEN, repr(TOKEN)[1:-1], json.dumps(TOKEN)[1:-1], json.dumps(TOKEN, ensure_ascii=False)[1:-1]]


def assert_hidden(text: str) -> None:
    for spelling in spellings():
        assert spelling not in text


@pytest.fixture(params=[1, 2, 3, 4])
def failed(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Any:
    """Give what was seen and stored of a job whose handler says its secret."""
    app, login = application()
    events: list[Event] = []
    app.events.listen(events.append)
    with caplog.at_level(logging.DEBUG), sandbox(app) as box:
        login.enqueue(request.param, TOKEN)
        box.drain(raise_errors=False)
        job = app.operations().find(only=_everything())[0]
        return job, events, "\n".join(record.getMessage() for record in caplog.records)


def _everything() -> Any:
    from stoker.core.filters import EVERYTHING

    return EVERYTHING


def test_errors_and_traces_do_not_show_it(failed: Any) -> None:
    job, _, _ = failed
    assert job.errors
    assert_hidden(str(msgspec.to_builtins(job)))
    if job.state is State.RETRYABLE:
        assert "[secret]" in job.errors[0].message + job.errors[0].trace


def test_events_do_not_show_it(failed: Any) -> None:
    _, events, _ = failed
    assert len(events) >= 2
    for event in events:
        assert_hidden(repr(event))
        assert_hidden(str(msgspec.to_builtins(event, enc_hook=repr)))


def test_log_lines_do_not_show_it(failed: Any) -> None:
    _, _, log = failed
    assert log
    assert_hidden(log)


def test_the_command_line_does_not_show_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from stoker.cli import main

    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    app: Stoker[Any] = Stoker(url)

    @app.job(codecs=[Encrypt(KEY)])
    def login(user: int, token: Annotated[str, Secret]) -> None: ...

    handle = login.enqueue(1, TOKEN)
    app.close()
    assert_hidden((tmp_path / "jobs.sqlite3").read_bytes().decode("latin-1"))
    assert main is not None
    from stoker.cli.program import program

    for words in (["jobs", "show", handle.id], ["--json", "jobs", "list"], ["--json", "jobs", "show", handle.id]):
        done = CliRunner().invoke(program, ["--url", url, *words], standalone_mode=False)
        assert handle.id in done.output
        assert_hidden(done.output)
    shown = CliRunner().invoke(program, ["--url", url, "jobs", "show", handle.id], standalone_mode=False).output
    assert "sealed: aes-256-gcm (k); " in shown


def test_a_draft_does_not_show_it() -> None:
    _, login = application()

    assert_hidden(repr(login.draft(1, TOKEN)))


def test_a_failed_assertion_does_not_show_it() -> None:
    app, login = application()
    with sandbox(app) as box:
        login.enqueue(9, TOKEN)
        with pytest.raises(AssertionError) as raised:
            box.assert_enqueued(login, args={"user": 8})
        box.assert_enqueued(login, args={"token": TOKEN})
    assert_hidden(str(raised.value))
    assert "[secret]" in str(raised.value)


def test_the_handler_and_middleware_around_it_have_it() -> None:
    seen: list[str] = []

    class Looks(Middleware):
        def enqueue(self, job: Any) -> Any:
            seen.append(job.args)
            return job

    app, login = application(Looks())
    with sandbox(app) as box:
        handle = login.enqueue(7, TOKEN)
        box.drain()
        assert handle.result(timeout=0) == 7
    assert msgspec.json.decode(seen[0])["token"] == TOKEN


# -- arguments that do not fit -----------------------------------------------------------------------------------------


class Model:
    """Like a pydantic model: its complaint shows what it was given."""

    @classmethod
    def model_validate(cls, value: object) -> Model:
        raise ValueError(f"input_value={value!r}")

    @classmethod
    def model_validate_json(cls, text: bytes) -> Model:
        raise ValueError(f"input_value={text!r}")

    def model_dump_json(self, **_: object) -> str:
        return json.dumps(TOKEN)


def test_a_complaint_about_an_argument_does_not_show_it() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(codecs=[Encrypt(KEY)])
    def takes(model: Annotated[Model, Secret]) -> None: ...

    @app.job(codecs=[Encrypt(KEY)])
    def at(when: Annotated[datetime, Secret]) -> None: ...

    @app.job(codecs=[Encrypt(KEY)])
    def many(values: Annotated[Any, Secret]) -> None: ...

    for call in (
        lambda: takes.enqueue(Model()),
        lambda: takes.draft_of(json.dumps({"model": TOKEN})),
        lambda: many.enqueue({TOKEN: object()}),
        lambda: many.enqueue({1: TOKEN}),
        lambda: at.enqueue(datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 that is the mistake
    ):
        with pytest.raises(ArgumentsError, match="secret") as raised:
            call()
        error: BaseException | None = raised.value
        while error is not None:
            assert_hidden(str(error))
            assert "2026" not in str(error)
            error = error.__cause__
    with pytest.raises(Misfit, match="argument `model`, which is secret, does not fit its annotation") as misfit:
        takes.decode(json.dumps({"model": TOKEN}))
    assert_hidden(str(misfit.value))


# -- definitions -------------------------------------------------------------------------------------------------------


def test_a_secret_that_would_be_stored_readably_is_refused() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(codecs=[Compress()])
    def login(token: Annotated[str, Secret]) -> None: ...

    for call in (lambda: login.enqueue("x"), app.check):
        with pytest.raises(DefinitionError, match=r"login: `token` is Secret, .* codecs=\[Encrypt\(keys\)\]"):
            call()


@pytest.mark.parametrize("unique", [True, Unique(by="token"), Unique(by=("user", "token")), Unique(by="*")], ids=repr)
def test_a_unique_key_of_secrets_is_refused(unique: Any) -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(codecs=[Encrypt(KEY)])
    def login(user: int, token: Annotated[str, Secret]) -> None: ...

    with sandbox(app), pytest.raises(DefinitionError, match="the unique key would be made of `token`, which is Secret"):
        login.using(unique=unique).enqueue(1, "x")

    @app.job(codecs=[Encrypt(KEY)], unique=unique)
    def again(user: int, token: Annotated[str, Secret]) -> None: ...

    with pytest.raises(DefinitionError, match="which is Secret"):
        app.check()


def test_a_unique_key_of_other_arguments_is_not() -> None:
    app, login = application()
    with sandbox(app):
        unique = login.using(unique=Unique(by="user"))
        assert unique.enqueue(7, "a") == unique.enqueue(7, "b")


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[str, Secret],
        Annotated[str, Secret()],
        Password,
        Optional[Password],  # noqa: UP045 `Annotated[…] | None` is not yet for every checker
        list[Annotated[str, Secret]],
        Login,
        dict[str, Login],
    ],
    ids=["class", "instance", "alias", "optional", "list", "struct", "dict of structs"],
)
def test_a_secret_is_found_wherever_it_is_in_an_annotation(hint: Any) -> None:
    assert holds_secret(hint)


@pytest.mark.parametrize("hint", [str, Annotated[str, "Secret"], list[int], Any, "Secret", dict[str, Any]], ids=repr)
def test_what_is_no_secret_is_not_found(hint: Any) -> None:
    assert not holds_secret(hint)


# -- blanking ----------------------------------------------------------------------------------------------------------


def test_every_part_of_a_secret_is_blanked_the_longest_first() -> None:
    hidden = texts_in([{"a": "password", "b": ["pass", b"\xffraw"]}, Login("ada", "hunter2"), 12345, None, True])

    assert blanked("password and pass", hidden) == "[secret] and [secret]"
    assert blanked("hunter2 ada 12345", hidden) == "[secret] [secret] [secret]"
    assert blanked(repr(b"\xffraw"), hidden) == "b'[secret]'"
    assert blanked("None True", hidden) == "None True"


def test_a_very_short_secret_blanks_the_whole_text() -> None:
    assert blanked("a pin of 7 digits", texts_in(["7"])) == "[not shown: it may show a secret argument]"
    assert blanked("nothing here", texts_in(["7"])) == "nothing here"


def test_a_secret_at_the_cut_of_a_long_message_is_not_half_shown() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(codecs=[Encrypt(KEY)])
    def login(token: Annotated[str, Secret]) -> None:
        raise ValueError("x" * 1990 + token)

    with sandbox(app) as box:
        handle = login.enqueue("abcdefghijklmnopqrst")
        box.drain(raise_errors=False)
        assert "abc" not in handle.fetch().errors[0].message


def test_other_jobs_errors_are_as_they_were() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job
    def plain(token: str) -> None:
        raise ValueError(token)

    with sandbox(app) as other:
        handle = plain.enqueue("said")
        other.drain(raise_errors=False)
        assert handle.fetch().errors[0].message == "said"


def test_a_periodic_entry_may_give_no_arguments_to_a_job_that_encrypts() -> None:
    app: Stoker[Any] = Stoker("memory://", name="shop")

    @app.periodic("@daily", args={"token": TOKEN})
    @app.job(codecs=[Encrypt(KEY)])
    def login(token: str = "") -> None: ...

    with pytest.raises(DefinitionError, match="those of an entry are stored readably"):
        app.periodic.declared[0].spec(app.defaults)


@pytest.mark.parametrize("option", [{"limit": Limit(1, by="token")}, {"rate": Rate(1, per="1m", by=["user", "token"])}])
def test_a_limit_by_a_secret_is_refused(option: dict[str, Any]) -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.job(codecs=[Encrypt(KEY)], **option)
    def login(user: int, token: Annotated[str, Secret]) -> None: ...

    for call in (lambda: login.enqueue(1, "x"), app.check):
        with pytest.raises(DefinitionError, match="a limit by `token`, which is Secret"):
            call()
