"""Settings of Celery's in Django's settings, and what means something else: time zones and priorities."""

from __future__ import annotations

from pathlib import Path

import pytest

from stoker.convert.celery import convert
from stoker.convert.report import Conversion
from tests.unit.convert.test_celery import of

APP = """\
from celery import Celery
from celery.schedules import crontab

app = Celery("p")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = {"e": {"task": "p.work", "schedule": crontab(hour=3)}}


@app.task
def work(): ...
"""
SETTINGS = {
    "CELERY_TASK_ROUTES = {'p.*': 'mail'}": ("CELERY_TASK_ROUTES={'p.*': 'mail'}", "queue= in @app.job"),
    "CELERY_TASK_TIME_LIMIT = 30": ("CELERY_TASK_TIME_LIMIT=30", "jobs.timeout in the settings"),
    "CELERY_TASK_ALWAYS_EAGER = DEBUG": ("CELERY_TASK_ALWAYS_EAGER=DEBUG", "foreground"),
    "CELERY_ALWAYS_EAGER = True": ("CELERY_ALWAYS_EAGER=True", "foreground"),
    "CELERY_WORKER_POOL = 'gevent'": ("CELERY_WORKER_POOL='gevent'", "see the settings"),
    "CELERY_TIMEZONE = env('TZ')": ("CELERY_TIMEZONE=env('TZ'): not known before it runs", "tz= in each"),
    "CELERY_BEAT_SCHEDULE = made()": ("a beat schedule that is made at run time", "app.periodic(…)"),
}
PRIORITIES = (
    "work.apply_async((1,), priority=9)",
    "group(work.s(1).set(priority=9))()",
    "work.signature((1,), priority=9).delay()",
    "app.send_task('p.work', priority=9)",
    "@app.task(priority=9)\ndef other(): ...",
    "app.conf.beat_schedule = {'e': {'task': 'p.work', 'schedule': 1, 'options': {'priority': 9}}}",
)


def project(tmp_path: Path, settings: str) -> tuple[dict[str, str], Conversion]:
    (tmp_path / "p.py").write_text(APP)
    (tmp_path / "settings.py").write_text(settings)
    found = convert([tmp_path])
    return {file.path.stem: file.new for file in found.files}, found


@pytest.mark.parametrize(
    "settings",
    ["CELERY_TIMEZONE = 'Europe/Berlin'\n", "TIME_ZONE = 'Europe/Berlin'\nCELERY_TIMEZONE = TIME_ZONE\n"],
    ids=["said", "as Django's"],
)
def test_the_time_zone_of_djangos_settings_is_that_of_crontabs(tmp_path: Path, settings: str) -> None:
    files, found = project(tmp_path, settings)

    assert 'app.periodic("* 3 * * *", work.draft(), name="e", tz="Europe/Berlin")' in files["p"]
    assert found.left == 0


def test_settings_in_djangos_settings_are_told_and_stay(tmp_path: Path) -> None:
    files, found = project(tmp_path, "\n".join(SETTINGS) + "\nCELERY_BROKER_URL = 'redis://'\nCELERYBRATE = 1\n")

    left = [(one.what, one.advice) for one in found.remarks if one.kind == "left"]
    assert len(left) == len(SETTINGS)
    for what, advice in SETTINGS.values():
        assert [told for told in left if told[0] == what and advice in told[1]]
    assert "CELERY_BROKER_URL: see the settings for what there is of it" in [one.what for one in found.remarks]
    assert "settings" not in files


def test_a_schedule_in_djangos_settings_is_moved(tmp_path: Path) -> None:
    files, found = project(tmp_path, "CELERY_BEAT_SCHEDULE = {'f': {'task': 'p.work', 'schedule': 5}}\n")

    assert 'app.periodic(work.draft(), every=5, name="f")' in files["p"]
    assert (files["settings"].strip(), found.left) == ("", 0)


def test_every_priority_that_is_moved_is_told(tmp_path: Path) -> None:
    _, found = of(tmp_path, "\n".join(PRIORITIES) + "\n")

    told = [one for one in found.remarks if "Celery on Redis takes 0 first" in one.what]
    assert len(told) == len(PRIORITIES)
    assert {one.kind for one in told} == {"note"}
    assert found.left == 0


def test_an_argument_that_is_called_priority_is_none(tmp_path: Path) -> None:
    _, found = of(tmp_path, "work.delay(priority=9)\nwork.s(priority=9).delay()\n")

    assert list(found.remarks) == []
