"""What `app.periodic` takes, and how it refuses what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest

from stoker import Stoker
from stoker.app.periodic import Declared
from stoker.errors import ArgumentsError, ConfigurationError, DefinitionError


def make(**settings: object) -> Stoker[Any]:
    app: Stoker[Any] = Stoker("memory://", name="shop", settings=settings)

    @app.job
    def report(days: int = 1) -> int:
        return days

    @app.job(queue="mail", name="send_reminders")
    def send_reminders(to: str) -> None: ...

    return app


def only(app: Stoker[Any]) -> Declared:
    (entry,) = app.periodic_entries()
    return entry


def test_a_decorated_job_stays_what_it_is() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.periodic("0 3 * * *", tz="Europe/Berlin", missed="all", jitter="5m", run_on_start=True)
    @app.job
    def nightly() -> int:
        return 42

    assert nightly() == 42
    spec = only(app).spec(app.defaults)
    assert (spec.rhythm.cron, spec.rhythm.tz, spec.missed) == ("0 3 * * *", "Europe/Berlin", "all")
    assert (spec.jitter, spec.run_on_start, spec.said) == (300_000_000, True, "0 3 * * *")
    assert only(app).name == "nightly"


def test_hints_are_resolved_late() -> None:
    app: Stoker[Any] = Stoker("memory://")

    @app.periodic(every=timedelta(minutes=5), args={"late": {"n": 3}})
    @app.job
    def nightly(late: Late) -> None: ...

    assert only(app).spec(app.defaults).job["args"] == '{"late":{"n":3}}'


Late: TypeAlias = dict[str, int]


def test_an_entry_for_a_draft_needs_a_name_and_carries_its_options() -> None:
    app = make()
    app.periodic("@daily", app.get("report").using(priority=3).draft(7), name="weekly")

    assert only(app).spec(app.defaults).job == {"name": "report", "args": '{"days":7}', "priority": 3}
    with pytest.raises(DefinitionError, match="needs a name"):
        app.periodic("@daily", app.get("report").draft(7))  # type: ignore[call-overload]


def test_the_same_source_run_again_declares_nothing_new() -> None:
    app: Stoker[Any] = Stoker("memory://")
    for when in ("@daily", "@hourly"):

        def nightly() -> None: ...

        app.periodic(when)(app.job(name="nightly")(nightly)) if when == "@daily" else None
    assert only(app).said == "@daily"


def test_two_entries_of_one_name_are_refused() -> None:
    app = make()
    app.periodic("@daily")(app.get("report"))
    with pytest.raises(DefinitionError, match=r"two periodic entries are named 'report'.*report-2"):
        app.periodic("@hourly")(app.get("report"))
    app.periodic("@hourly", name="report-2")(app.get("report"))
    assert [entry.name for entry in app.periodic_entries()] == ["report", "report-2"]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"when": "61 * * * *"}, "periodic report: cron '61 \\* \\* \\* \\*': bad minute"),
        ({"when": "whenever"}, "'whenever' in 'whenever' is not understood"),
        ({"when": "@daily", "tz": "Mars/Olympus"}, "is no time zone"),
        ({"when": "@daily", "missed": "never"}, 'write "skip", "once" or "all"'),
        ({"when": "@daily", "jitter": "soon"}, "jitter: 'soon' is not a duration"),
        ({"when": "@daily", "start": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001
        ({"when": "@daily", "zone": "UTC"}, "unknown option 'zone'; there are"),
        ({"when": "@daily", "every": "5m"}, "say when"),
        ({"every": "100ms"}, "the shortest is 1s"),
        ({"when": "@daily", "name": "a b"}, "a b"),
        ({"when": 5}, "5 is no text; write cron or words"),
        ({"when": "@daily", "tz": ZoneInfo("Europe/Berlin")}, 'write the zone\'s name, e.g. tz="Europe/Berlin"'),
        ({"when": "@daily", "end": "2027-01-31"}, "end: '2027-01-31' is no datetime"),
        ({"when": "@daily", "run_on_start": "yes"}, "run_on_start is 'yes'; write True or False"),
        ({"when": "@daily", "args": "ann"}, "args is 'ann'; write a mapping by name, or a list by position"),
        ({"when": "H 3 * * *"}, "cron 'H 3 \\* \\* \\*': 'H' is not understood; it takes numbers"),
    ],
)
def test_what_is_wrong_is_named_at_once(said: dict[str, Any], complaint: str) -> None:
    app = make()
    when = [said.pop("when")] if "when" in said else []
    with pytest.raises(DefinitionError, match=complaint):
        app.periodic(*when, **said)(app.get("report"))


def test_a_time_is_needed_and_a_job() -> None:
    app = make()
    with pytest.raises(DefinitionError, match="say when"):
        app.periodic()  # type: ignore[call-overload]
    with pytest.raises(DefinitionError, match=r"write @app.periodic\(…\) above @app.job"):
        app.periodic("@daily")(lambda: None)  # type: ignore[type-var]


def test_a_draft_with_a_time_of_its_own_is_refused() -> None:
    app = make()
    wrong: list[dict[str, Any]] = [
        {"delay": "5m"},
        {"at": datetime(2030, 1, 1, tzinfo=UTC)},
        {"transaction": object()},
    ]
    for options in wrong:
        with pytest.raises(DefinitionError, match="have no meaning for a periodic job"):
            app.periodic("@daily", app.get("report").using(**options).draft(), name="x")


def test_an_entry_of_a_job_that_the_application_lacks_is_refused_by_the_check() -> None:
    other: Stoker[Any] = Stoker("memory://")
    foreign = other.job(name="foreign")(lambda: None)
    app = make()
    app.periodic("@daily", foreign.draft(), name="elsewhere")
    with pytest.raises(ConfigurationError, match="periodic elsewhere: this application has no job 'foreign'"):
        app.check()


def test_arguments_that_do_not_fit_are_found_by_the_check() -> None:
    app = make()
    app.periodic("@daily")(app.get("send_reminders"))
    with pytest.raises(ArgumentsError, match="missing"):
        app.check()


def test_settings_declare_entries_and_go_before_the_code() -> None:
    said = {
        "report": {"cron": "0 3 * * *", "tz": "Europe/Berlin", "args": {"days": 3}, "start": "2026-01-01T00:00:00Z"},
        "remind": {"every": "5m", "job": "send_reminders", "args": ["ann"], "queue": "slow", "missed": "skip"},
    }
    app = make(periodic=said)
    app.periodic("@hourly")(app.get("report"))
    report, remind = app.periodic_entries()

    assert report.spec(app.defaults).job["args"] == '{"days":3}'
    assert (report.said, report.rhythm.start) == ("0 3 * * *", 1_767_225_600_000_000)
    assert remind.spec(app.defaults).job == {"name": "send_reminders", "args": '["ann"]', "queue": "slow"}
    assert (remind.rhythm.every, remind.spec(app.defaults).missed) == (300_000_000, "skip")


def test_jobs_of_locos_scheduler_are_entries() -> None:
    said = {"reminders": {"run": "send_reminders to:ann", "schedule": "every 15 minutes", "tags": ["base"]}}
    app = make(scheduler={"jobs": {**said, "tidy": {"run": "report", "cron": "0 0 3 * * *", "run_on_start": True}}})
    reminders, tidy = app.periodic_entries()

    assert reminders.rhythm.cron == "*/15 * * * *"
    job = reminders.spec(app.defaults).job
    assert (job["name"], job["args"], list(job["labels"])) == ("send_reminders", '{"to":"ann"}', ["base"])
    assert (tidy.rhythm.cron, tidy.spec(app.defaults).run_on_start) == ("0 0 3 * * *", True)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"periodic": {"report": "@daily"}}, "periodic.report: must be a mapping"),
        ({"periodic": {"report": {}}}, "periodic.report: periodic report: say when"),
        ({"periodic": {"nobody": {"cron": "@daily"}}}, "periodic.nobody: no job named 'nobody'"),
        ({"periodic": {"report": {"cron": 5}}}, "periodic.report.cron: 5 is not a text"),
        ({"periodic": {"report": {"cron": "@daily", "args": "x"}}}, "periodic.report.args: write a mapping"),
        ({"periodic": {"report": {"cron": "@daily", "start": "soon"}}}, "periodic.report.start: 'soon' is no time"),
        ({"periodic": {"report": {"cron": "@daily", "colour": "red"}}}, "periodic.report: unknown key 'colour'"),
        ({"periodic": {"report": {"cron": "@daily", "mised": "all"}}}, "unknown key 'mised'; did you mean 'missed'"),
        ({"periodic": {"report": {"cron": "@daily", "delay": "5s"}}}, "delay has no meaning for a periodic job"),
        ({"periodic": {"report": {"cron": "@daily", "run_on_start": "yes"}}}, "periodic.report: .*write True or False"),
        ({"scheduler": {"jobs": {"a": {"run": "ls", "shell": True}}}}, "shell commands are not run"),
        ({"scheduler": {"jobs": {"a": {"run": "report x", "schedule": "daily"}}}}, "write NAME:VALUE"),
        ({"scheduler": {"jobs": {"a": {"run": "report", "when": "daily"}}}}, "unknown key 'when'"),
        (
            {"periodic": {"report": {"every": 5}}, "scheduler": {"jobs": {"report": {"schedule": "daily"}}}},
            "'report' stands in periodic and in scheduler.jobs",
        ),
    ],
)
def test_what_is_wrong_in_the_settings_is_named_by_its_key(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        make(**settings).periodic_entries()
