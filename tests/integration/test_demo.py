"""The example: it runs, it sends everybody one mail, and it finds out when that is not so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest

from examples.signup.audit import differences
from examples.signup.jobs import letter
from examples.signup.people import Person, people
from examples.signup.sink import Mailbox

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^│ (?P<name>[^│]+?) +│ (?P<value>[^│]+?) +│$", re.MULTILINE)

CREW = [
    Person("Ada", "ada@example.com", "open"),
    Person("Zoë", "zoe@example.com", "busy"),
    Person("Nobody", "nobody@example.com", "unknown"),
]
FINE = {"completed": 2, "discarded": 1}


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STOKER_")}
    return subprocess.run(
        [sys.executable, "-m", "examples.signup", *options],
        cwd=ROOT,
        env={**environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def rows(output: str) -> Mapping[str, str]:
    return {row["name"]: row["value"] for row in ROW.finditer(output)}


def test_everybody_gets_one_mail() -> None:
    demo = run_demo()

    assert demo.returncode == 0, demo.stdout + demo.stderr
    table = rows(demo.stdout)
    assert table["sent"] == "199"
    assert table["retried"].startswith("8,")
    assert table["discarded"] == "1"
    assert table["double sign-ups"].startswith("10,")
    assert re.fullmatch(r"[\d,]+ ms", table["latency p50"])
    assert re.fullmatch(r"[\d,]+ ms", table["latency p99"])
    assert demo.stderr == ""


def test_a_lost_mail_is_found_out() -> None:
    demo = run_demo("--lose-one")

    assert demo.returncode == 1, demo.stdout + demo.stderr
    assert f"{people()[0].email}: 0 mails in the mailbox, expected 1" in demo.stdout


def test_what_is_as_it_must_be_differs_in_nothing() -> None:
    assert differences(CREW, ["zoe@example.com", "ada@example.com"], {**FINE, "available": 0}) == []


@pytest.mark.parametrize(
    ("delivered", "states", "said"),
    [
        (["ada@example.com"], FINE, "zoe@example.com: 0 mails in the mailbox, expected 1"),
        (["ada@example.com", "zoe@example.com"] * 2, FINE, "ada@example.com: 2 mails in the mailbox, expected 1"),
        (["nobody@example.com"], FINE, "nobody@example.com: 1 mails in the mailbox, expected 0"),
        (["eve@example.com"], FINE, "eve@example.com: a mail for somebody who never signed up"),
        ([], {"completed": 1, "discarded": 1}, "1 jobs are completed, expected 2"),
        ([], {**FINE, "retryable": 1}, "1 jobs are retryable, expected 0"),
        ([], {"completed": 2}, "0 jobs are discarded, expected 1"),
    ],
)
def test_each_difference_is_named(delivered: list[str], states: dict[str, int], said: str) -> None:
    assert said in differences(CREW, delivered, states)


@pytest.mark.parametrize("person", people(), ids=lambda person: person.email)
def test_a_letter_carries_every_name_as_it_is_written(person: Person) -> None:
    sent = letter(person.name, person.email, "<1@example.com>").as_bytes()
    arrived = message_from_bytes(sent, policy=SMTP)

    (recipient,) = arrived["To"].addresses
    assert (recipient.display_name, recipient.addr_spec) == (person.name, person.email)
    assert person.name in arrived["Subject"]
    text = arrived.get_body(("plain",))
    assert text is not None
    assert f"Hello {person.name}," in text.get_content()


def test_markup_in_a_name_stays_text_in_the_html_part() -> None:
    html = letter("<b>Bob</b>", "bob@example.com", "<1@example.com>").get_body(("html",))

    assert html is not None
    assert "Hello &lt;b&gt;Bob&lt;/b&gt;," in html.get_content()


def test_the_crowd_is_two_hundred_people_with_addresses_of_their_own() -> None:
    crowd = people()

    assert len({person.email for person in crowd}) == len(crowd) == 200
    assert all(re.search(r"@([a-z]+\.)?example\.(com|org)$", person.email) for person in crowd)


def test_a_mailbox_keeps_what_it_is_given() -> None:
    mailbox = Mailbox(CREW)
    mailbox.arrived("ada@example.com", b"Subject: hello\r\n\r\n")

    assert [address for address, _ in mailbox.delivered] == ["ada@example.com"]
