"""Looking at jobs and changing them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from stoker import State, Stoker, chain
from stoker.cli.records import print_record
from stoker.core.job import new_token
from stoker.core.lines import AttemptLog, LogLine, written
from stoker.core.note import Note
from stoker.testing import sandbox
from tests.unit.cli.conftest import Shell


def fill(jobs: Stoker[None], count: int = 3, **options: str) -> list[str]:
    """Enqueue some mails and give their ids."""
    send = jobs.get("send")
    return [send.using(delay=options.get("delay")).enqueue(f"{number}@example.org").id for number in range(count)]


def states(jobs: Stoker[None], ids: list[str]) -> list[State]:
    return [jobs.handle(id).fetch().state for id in ids]


def test_the_list_is_an_array_of_records_with_the_newest_first(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs)

    listed = shop.answer("jobs", "list")

    assert [job["id"] for job in listed] == ids[::-1]
    assert listed[0] == jobs.handle(ids[-1]).fetch().to_json()


def test_a_plain_list_cuts_no_id(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs)

    lines = shop("jobs", "list").stdout.splitlines()

    assert lines[0].split() == ["ID", "NAME", "QUEUE", "STATE", "ATTEMPT", "WHEN", "ERROR"]
    assert [line.split()[0] for line in lines[1:]] == ids[::-1]


def test_a_filter_chooses(shop: Shell, jobs: Stoker[None]) -> None:
    fill(jobs)
    jobs.get("resize").enqueue("a.png")

    assert len(shop.answer("jobs", "list", "--queue", "mail")) == 3
    assert len(shop.answer("jobs", "list", "--name", "resize", "--queue", "mail")) == 0
    assert len(shop.answer("jobs", "list", "--name", "resize", "--name", "send")) == 4
    assert len(shop.answer("jobs", "list", "--arg", 'to="1@example.org"')) == 1
    assert len(shop.answer("jobs", "list", "--enqueued-since", "1h")) == 4
    assert len(shop.answer("jobs", "list", "--enqueued-before", "1h")) == 0


def test_the_list_ends_at_its_limit_and_says_so(shop: Shell, jobs: Stoker[None]) -> None:
    fill(jobs)

    result = shop("jobs", "list", "--limit", "2")

    assert len(result.stdout.splitlines()) == 3
    assert "there may be more" in result.stderr


def test_show_gives_one_record(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)

    assert shop.answer("jobs", "show", id)["args"] == {"to": "0@example.org"}
    assert '{"to": "0@example.org"}' in shop("jobs", "show", id).stdout


def test_a_job_that_has_ended_is_shown_in_its_last_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    app = Stoker("memory://")

    @app.job(max_attempts=1)
    def fail() -> None:
        raise ValueError("no")

    with sandbox(app) as box:
        handle = fail.enqueue()
        box.drain(raise_errors=False)
        print_record(handle.fetch())
    shown = capsys.readouterr().out
    assert re.search(r"^attempt +1$", shown, re.MULTILINE)


def test_show_tells_how_far_a_job_has_come(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)
    store = jobs.store()
    assert (shop.answer("jobs", "show", id)["progress"], "progress" in shop("jobs", "show", id).stdout) == (None, False)
    (claim,) = store.run(store.claim({"mail": 1}, ["send"], [""], new_token(), "me", 60_000_000)).claims
    store.run(store.note([Note.of(claim, '{"fraction":0.4,"note":"rows"}', "[1]")]))

    shown = shop.answer("jobs", "show", id)

    assert (shown["progress"], shown["checkpoint"]) == ({"fraction": 0.4, "note": "rows"}, [1])
    assert "40% rows" in shop("jobs", "show", id).stdout


def test_a_job_that_is_not_there_exits_1(shop: Shell) -> None:
    result = shop("jobs", "show", "nope")

    assert result.exit_code == 1
    assert "no job nope" in result.stderr


def test_a_change_says_the_count_first_and_then_what_it_did(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs)

    result = shop("jobs", "cancel", "--queue", "mail")

    assert result.stdout == "3 jobs match\n3 jobs cancelled\n"
    assert states(jobs, ids) == [State.CANCELLED] * 3


@pytest.mark.parametrize("verb", ["cancel", "retry", "replay", "promote", "delete"])
def test_a_change_of_many_needs_a_filter_or_all(shop: Shell, jobs: Stoker[None], verb: str) -> None:
    ids = fill(jobs)

    result = shop("jobs", verb)

    assert result.exit_code == 2
    assert "--all" in result.stderr
    assert states(jobs, ids) == [State.AVAILABLE] * 3


def test_all_and_a_filter_exclude_each_other(shop: Shell) -> None:
    assert shop("jobs", "cancel", "--all", "--queue", "mail").exit_code == 2


def test_all_means_all(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs)

    assert shop("jobs", "cancel", "--all").exit_code == 0
    assert states(jobs, ids) == [State.CANCELLED] * 3


def test_a_dry_run_only_counts(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs)

    assert shop.answer("jobs", "delete", "--all", "--dry-run") == {
        "verb": "delete",
        "matching": 3,
        "changed": 0,
        "dry_run": True,
    }
    assert states(jobs, ids) == [State.AVAILABLE] * 3


def test_ids_may_follow_the_verb(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs)

    assert shop.answer("jobs", "cancel", ids[0], ids[2])["changed"] == 2
    assert states(jobs, ids) == [State.CANCELLED, State.AVAILABLE, State.CANCELLED]


def test_ids_that_match_nothing_exit_1(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)

    assert shop("jobs", "retry", id).exit_code == 1


def test_only_jobs_in_fitting_states_are_counted(shop: Shell, jobs: Stoker[None]) -> None:
    fill(jobs, 2)
    fill(jobs, 1, delay="1h")

    assert shop.answer("jobs", "promote", "--all")["matching"] == 1


def test_a_state_that_the_verb_does_not_apply_to_is_refused(shop: Shell) -> None:
    result = shop("jobs", "cancel", "--state", "completed")

    assert result.exit_code == 2
    assert "cancel does not apply to jobs that are completed" in result.stderr


def test_an_id_in_another_state_is_told_which_states_the_verb_takes(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)

    result = shop("jobs", "retry", id)

    assert result.exit_code == 1
    assert "retry applies to jobs that are scheduled, retryable, cancelled, discarded" in result.stderr


def test_cancelling_running_jobs_is_told_as_asking(shop: Shell, jobs: Stoker[None]) -> None:
    fill(jobs, 1)
    store = jobs.store()
    store.run(store.claim({"mail": 1}, ["send"], [""], new_token(), "w", 60_000_000))

    result = shop("jobs", "cancel", "--state", "running")

    assert result.stdout.splitlines()[-1] == "1 job cancelled; running ones are asked to stop"


def test_retry_makes_a_cancelled_job_available(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)
    jobs.handle(id).cancel()

    assert shop.answer("jobs", "retry", id)["changed"] == 1
    assert states(jobs, [id]) == [State.AVAILABLE]


def test_replay_gives_the_ids_of_the_new_jobs(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)
    jobs.handle(id).cancel()

    (made,) = shop.answer("jobs", "replay", "--state", "cancelled")["ids"]

    assert jobs.handle(made).fetch().origin == id


def test_tidy_deletes_completed_and_cancelled_jobs(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs, 2)
    jobs.handle(ids[0]).cancel()

    assert shop.answer("jobs", "tidy")["changed"] == 1
    assert [job["id"] for job in shop.answer("jobs", "list")] == ids[1:]


def test_purge_deletes_old_finished_jobs_and_knows_locos_states(shop: Shell, jobs: Stoker[None]) -> None:
    ids = fill(jobs, 2)
    jobs.handle(ids[0]).cancel()

    assert shop.answer("jobs", "purge")["matching"] == 0
    assert shop.answer("jobs", "purge", "--max-age", "0", "--status", "failed")["matching"] == 0
    assert shop.answer("jobs", "purge", "--max-age", "0", "--status", "queued,cancelled", "--dry-run")["matching"] == 2
    assert shop.answer("jobs", "purge", "--max-age", "0")["changed"] == 1


def test_the_url_alone_is_enough_for_operators(
    shop: Shell, jobs: Stoker[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(jobs)
    monkeypatch.delenv("STOKER_APP")

    assert len(shop.answer("--url", "sqlite:///jobs.sqlite3", "jobs", "list")) == 3


def test_a_url_in_the_settings_is_enough_too(shop: Shell, jobs: Stoker[None], monkeypatch: pytest.MonkeyPatch) -> None:
    fill(jobs)
    monkeypatch.delenv("STOKER_APP")
    monkeypatch.setenv("STOKER_URL", "sqlite:///jobs.sqlite3")

    assert len(shop.answer("jobs", "list")) == 3


def test_an_integer_of_any_size_is_printed_exactly(shop: Shell, jobs: Stoker[None]) -> None:
    big = 123456789012345678901234567890
    jobs.get("send").enqueue("a@example.org", copies=big)

    assert json.loads(shop("jobs", "list", "--json").stdout)[0]["args"]["copies"] == big


def test_show_names_the_batch_and_how_it_stands(shop: Shell, jobs: Stoker[None]) -> None:
    send = jobs.get("send")
    with jobs.batch("newsletter") as batch:
        first, _ = batch.add(send.draft("a@example.org"), send.draft("b@example.org"))

    shown = shop.answer("jobs", "show", first.id)
    assert (shown["batch"], shown["meta"]) == (batch.id, {})
    assert (shown["batch_progress"]["total"], shown["batch_progress"]["pending"]) == (2, 2)
    assert "batch newsletter: 0/2 (2 running or queued)" in shop("jobs", "show", first.id).stdout


def test_a_workflow_is_cancelled_as_a_whole_by_its_batch(shop: Shell, jobs: Stoker[None]) -> None:
    send = jobs.get("send")
    flow = chain(send.draft("a@example.org"), send.draft("b@example.org"), on_failure="continue")
    batch = jobs.start(flow)

    assert len(shop.answer("jobs", "list", "--batch", batch.id)) == 1
    assert shop("jobs", "cancel", "--batch", batch.id).stdout == "1 job matches\n1 job cancelled\n"
    standing = batch.progress()
    assert (standing.complete, standing.cancelled, standing.waiting) == (True, 2, 0)


def test_log_lines_are_shown_when_asked_for(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)
    store = jobs.store()
    (claim,) = store.run(store.claim({"mail": 1}, ["send"], [""], new_token(), "w", 30_000_000)).claims
    line = LogLine(datetime(2026, 2, 1, 12, 30, 5, 67_000, UTC), "INFO", "shop", "3 rows\nloaded")
    text = written([AttemptLog(1, 1, 7, (line,)), AttemptLog(1, 2, 0, (line,))])
    store.run(store.note([Note(claim.id, claim.token, lines=text)]))

    shown = shop("jobs", "show", id, "--logs").stdout
    assert (
        "\nattempt 1 (start 1)\n(7 earlier lines are not kept)\n2026-02-01T12:30:05.067Z INFO    shop: 3 rows" in shown
    )
    assert "3 rows" not in shop("jobs", "show", id).stdout
    first, second = shop.answer("jobs", "show", id, "--logs")["logs"]
    assert first == {
        "attempt": 1,
        "start": 1,
        "lost": 7,
        "lines": [
            {"at": "2026-02-01T12:30:05.067000Z", "level": "INFO", "logger": "shop", "message": "3 rows\nloaded"}
        ],
    }
    assert second["start"] == 2
    assert "logs" not in shop.answer("jobs", "show", id)


def test_a_job_without_log_lines_says_why(shop: Shell, jobs: Stoker[None]) -> None:
    (id,) = fill(jobs, 1)

    assert "no log lines are kept: its definition does not say keep_logs=" in shop("jobs", "show", id, "--logs").stdout
    assert shop.answer("jobs", "show", id, "--logs")["logs"] == []
