"""URLs of pgmq stores, and the names that queues may have."""

from __future__ import annotations

import pytest

from stoker.errors import ConfigurationError
from stoker.stores.pgmq.urls import parse


def test_what_is_not_said_is_as_roadster_has_it() -> None:
    url = parse("pgmq+postgresql://me@db/shop", "shown")

    assert (url.prefix, url.on_success, url.on_failure) == ("", "delete", "archive")
    assert (url.database.conninfo, url.database.schema) == ("postgresql://me@db/shop", "stoker_pgmq")


def test_each_prefix_has_a_schema_of_its_own() -> None:
    assert parse("pgmq+postgresql://db/shop?prefix=eu_", "shown").database.schema == "stoker_pgmq_eu"
    assert parse("pgmq+postgresql://db/shop?prefix=eu_&schema=jobs", "shown").database.schema == "jobs"
    assert parse("pgmq+postgresql://db/shop?prefix=eu_", "shown").table("mail") == "eu_mail"


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("on_success=keep", "shown: on_success is 'keep'; it must be archive or delete"),
        ("on_failure=drop", "shown: on_failure is 'drop'; it must be archive or delete"),
        ("prefix=Shop-", "prefix is 'Shop-'; it must be of a-z, 0-9 and _"),
        ("prefx=a", "no parameter prefx"),
    ],
)
def test_a_wrong_parameter_says_what_to_write(query: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse(f"pgmq+postgresql://db/shop?{query}", "shown")


@pytest.mark.parametrize(
    ("queue", "complaint"),
    [
        ("Mail", "of a-z, 0-9, _ and -; write e.g. 'mail'"),
        ("mail.out", "write e.g. 'mail_out'"),
        ("m" * 48, "longer than the 47 characters that pgmq takes"),
    ],
)
def test_a_queue_that_pgmq_cannot_name_is_refused(queue: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse("pgmq+postgresql://db/shop", "shown").table(queue)
