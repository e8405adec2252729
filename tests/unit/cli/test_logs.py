"""Log lines of a process that is ours."""

from __future__ import annotations

import json
import logging
import sys

from stoker.cli.logs import JsonLines, TextLines


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "stoker", "levelno": 20, "levelname": "INFO", "msg": "%d jobs", "args": (3,)})
    made.created = 1_800_000_000.25
    vars(made).update(extra)
    return made


def test_a_text_line_has_time_level_logger_and_message() -> None:
    assert TextLines().format(record()) == "2027-01-15T08:00:00.250Z INFO    stoker: 3 jobs"


def test_a_json_line_is_one_object_with_what_the_record_carries() -> None:
    assert json.loads(JsonLines().format(record(job_id="7", queue="mail"))) == {
        "time": "2027-01-15T08:00:00.250Z",
        "level": "INFO",
        "logger": "stoker",
        "message": "3 jobs",
        "job_id": "7",
        "queue": "mail",
    }


def test_a_json_line_has_the_exception_in_it() -> None:
    try:
        raise ValueError("lost")
    except ValueError:
        line = JsonLines().format(record(exc_info=sys.exc_info()))

    assert "\n" not in line
    assert "ValueError: lost" in json.loads(line)["exception"]
