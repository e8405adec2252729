"""Two jobs are the same when their keys are: by all or some arguments, with defaults filled in."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from stoker.core.unique import UniqueKey
from stoker.errors import ArgumentsError, DefinitionError
from stoker.jobs.context import Context
from stoker.jobs.unique import Unique
from tests.unit.jobs.rig import Jobs


def resize(path: str, width: int = 800, *, tags: frozenset[str] = frozenset()) -> None: ...


def keyed(app: Jobs, *args: Any, unique: Any = True, using: Any = None, **kwargs: Any) -> UniqueKey | None:
    job: Any = app.get("resize") if "resize" in app.names else app.job(resize)
    job.using(unique=unique, **(using or {})).enqueue(*args, **kwargs)
    return app.last.unique


def key(app: Jobs, *args: Any, **kwargs: Any) -> str:
    made = keyed(app, *args, **kwargs)
    assert made is not None
    return made.key


def test_the_key_is_the_hash_of_name_and_canonical_arguments(app: Jobs) -> None:
    text = 'resize{"path":"a","tags":["x","y"],"width":800}'

    assert key(app, "a", tags=frozenset({"y", "x"})) == hashlib.sha256(text.encode()).hexdigest()


def test_how_a_call_is_written_does_not_matter_and_what_it_says_does(app: Jobs) -> None:
    assert key(app, "a") == key(app, path="a", width=800) == key(app, "a", 800)
    assert key(app, "a") != key(app, "b")
    assert key(app, "a") != key(app, "a", 801)


def test_two_jobs_of_different_names_never_share_a_key_of_arguments(app: Jobs) -> None:
    app.job(name="other", unique=True)(resize).enqueue("a")
    assert app.last.unique is not None

    assert app.last.unique.key != key(app, "a")


def test_chosen_arguments_make_the_key(app: Jobs) -> None:
    for by in ("path", ("path",), ["path"], {"path"}):
        assert key(app, "a", 1, unique=Unique(by=by)) == key(app, "a", 2, unique=Unique(by=by))
    assert key(app, "a", unique=Unique(by=())) == key(app, "b", unique=Unique(by=()))


def test_a_function_may_make_the_key(app: Jobs) -> None:
    def folder(path: str, *_: Any, **__: Any) -> str:
        return path.rpartition("/")[0]

    unique = Unique(by=folder)

    assert key(app, "x/a", 1, unique=unique) == key(app, "x/b", 2, unique=unique)
    assert key(app, "x/a", unique=unique) != key(app, "y/a", unique=unique)


def test_a_function_that_raises_or_gives_no_json_is_refused(app: Jobs) -> None:
    with pytest.raises(ArgumentsError, match=r"resize: Unique\(by=…\) raised ZeroDivisionError"):
        key(app, "a", unique=Unique(by=lambda *_, **__: 1 / 0))
    with pytest.raises(ArgumentsError, match="resize: the unique key cannot be made"):
        key(app, "a", unique=Unique(by=lambda *_, **__: print))


def test_the_priority_may_be_part_of_the_key(app: Jobs) -> None:
    both = Unique(by=("*", "priority"))

    assert key(app, "a", unique=both) == key(app, "a", unique=both)
    assert key(app, "a", unique=both) != key(app, "a", unique=both, using={"priority": 1})
    assert key(app, "a", unique=both) != key(app, "b", unique=both)
    assert key(app, "a") == key(app, "a", using={"priority": 1})
    assert key(app, "a", unique=Unique(by="priority")) == key(app, "b", unique=Unique(by="priority"))


def test_a_parameter_named_priority_is_just_a_parameter(app: Jobs) -> None:
    @app.job(unique=Unique(by="priority"))
    def ticket(priority: str) -> None: ...

    ticket.enqueue("high")
    one = app.last.unique
    ticket.using(priority=9).enqueue("high")

    assert app.last.unique == one


def test_a_key_given_as_text_stands_for_all_jobs_that_give_it(app: Jobs) -> None:
    app.job(name="other", unique=Unique(key="nightly"))(resize).enqueue("a")
    assert app.last.unique is not None

    assert app.last.unique.key == key(app, "b", unique=Unique(key="nightly"))
    assert app.last.unique.key != key(app, "b", unique=Unique(key="daily"))


def test_the_terms_of_the_key_travel_with_it(app: Jobs) -> None:
    made = keyed(app, "a", unique=Unique(within="1h", states="unfinished", on_conflict="replace"))

    assert made is not None
    assert (made.within, made.on_conflict) == (3_600_000_000, "replace")
    assert made.states == ("scheduled", "available", "running", "retryable")
    made = keyed(app, "a", unique=Unique(states={"running", "available"}))
    assert made is not None
    assert made.states == ("available", "running")
    made = keyed(app, "a")
    assert made is not None
    assert (made.within, made.states, made.on_conflict) == (None, ("scheduled", "available", "retryable"), "keep")


def test_false_switches_off_what_the_definition_says(app: Jobs) -> None:
    job = app.job(unique=True)(resize)
    job.enqueue("a")
    assert app.last.unique is not None

    job.using(unique=False).enqueue("a")
    assert app.last.unique is None


BAD: list[tuple[dict[str, Any], str]] = [
    ({"on_conflict": "refuse"}, "on_conflict='refuse': choose one of keep, replace, reschedule, raise"),
    ({"states": "running"}, "states='running': write 'waiting', 'unfinished'"),
    ({"states": ["asleep"]}, "choose from available, cancelled"),
    ({"states": []}, "choose from"),
    ({"within": "soon"}, "Unique(within): 'soon' is not a duration"),
    ({"key": "x", "by": "path"}, "by= and key= exclude each other"),
    ({"key": ""}, "key= is empty"),
]


@pytest.mark.parametrize(("fields", "complaint"), BAD, ids=[one[1] for one in BAD])
def test_wrong_terms_are_definition_errors(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        Unique(**fields)

    assert complaint in str(refused.value)


def test_names_are_checked_against_the_signature_at_definition(app: Jobs) -> None:
    with pytest.raises(DefinitionError, match=r"resize: Unique.* names 'pth', which is not a parameter; it has path"):
        app.job(unique=Unique(by=("width", "pth")))(resize)
    assert app.definitions == ()


def test_the_context_cannot_be_part_of_a_key(app: Jobs) -> None:
    @app.job(unique=Unique(by="ctx"))
    def job(ctx: Context[None], n: int) -> None: ...

    with pytest.raises(DefinitionError, match="names 'ctx', which is not a parameter; it has n"):
        app.check_jobs()
