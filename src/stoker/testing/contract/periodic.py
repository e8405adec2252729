"""Periodic entries: kept by application and name, each tick decided once."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from stoker.core.capability import Capability
from stoker.core.job import CallId, Due, NewJob, State, new_call
from stoker.core.limits import Gate, Rule
from stoker.core.periodic import Entry, NewEntry, Tick
from stoker.core.unique import UniqueKey
from stoker.errors import EnqueueError
from stoker.stores.base import MOST_TICKS, Store
from stoker.testing.contract.base import MINUTE, Another, ContractTests, claim, everything, job, later, needs, state_of
from stoker.testing.contract.races import at_once
from stoker.testing.fake_clock import FakeClock

RHYTHM = '{"cron":"0 3 * * *"}'
SPEC = '{"cron":"0 3 * * *","job":"it\'s 100% Ж\\u0000\\n"}'


def registered(store: Store, name: str = "nightly", spec: str = SPEC, application: str = "shop", **said: Any) -> Entry:
    """Register an entry; give it as the store has it."""
    call, entry = said.get("call") or new_call(), NewEntry(name, said.get("rhythm", RHYTHM), spec)
    known = store.run(store.register(application, [entry], said.get("declared", True), call))
    return next(entry for entry in known.entries if entry.name == name)


def entry_of(store: Store, name: str = "nightly", application: str = "shop") -> Entry:
    """Look at an entry, which must be there."""
    return next(one for one in store.run(store.entries(application)).entries if one.name == name)


def step(entry: Entry, by: int = MINUTE) -> Tick:
    """Make the step of an entry to an instant after its last."""
    return Tick(entry.application, entry.name, entry.version, entry.last, entry.last + by)


def tick(store: Store, entry: Entry, *jobs: NewJob, by: int = MINUTE, call: CallId | None = None) -> bool:
    """Tick an entry as it was read."""
    return store.run(store.tick(step(entry, by), jobs, call or new_call()))


class RegisterContract(ContractTests):
    @needs(Capability.TICK)
    def test_there_is_no_entry_at_first_but_the_time(self, store: Store, clock: FakeClock) -> None:
        known = store.run(store.entries("shop"))

        assert (known.entries, known.now) == ((), clock.now())

    @needs(Capability.TICK)
    def test_nothing_before_its_registration_is_due_for_a_new_entry(
        self, store: Store, another: Another, clock: FakeClock
    ) -> None:
        call = new_call()
        registered(store, call=call)

        now = clock.now()
        assert entry_of(another()) == Entry("shop", "nightly", RHYTHM, SPEC, 1, True, now, now, call)

    @needs(Capability.TICK)
    def test_an_entry_registered_again_goes_on_from_its_last_tick(self, store: Store, clock: FakeClock) -> None:
        first = registered(store)
        clock.advance("1h")
        again = registered(store)

        assert (again.version, again.anchor, again.last) == (1, first.anchor, first.last)
        assert again.registration != first.registration

    @needs(Capability.TICK)
    def test_a_changed_specification_is_a_new_version_that_goes_on_from_the_last_tick(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = registered(store)
        clock.advance("1h")
        changed = registered(store, spec="{}")

        assert (changed.version, changed.rhythm, changed.spec) == (2, RHYTHM, "{}")
        assert (changed.anchor, changed.last) == (first.anchor, first.last)

    @needs(Capability.TICK)
    def test_a_changed_rhythm_counts_from_now_on(self, store: Store, clock: FakeClock) -> None:
        first = registered(store)
        clock.advance("1h")
        changed = registered(store, spec="{}", rhythm="[]")

        assert (changed.version, changed.rhythm, changed.spec) == (2, "[]", "{}")
        assert (changed.anchor, changed.last) == (first.anchor, clock.now())

    @needs(Capability.TICK)
    def test_a_changed_rhythm_does_not_repeat_a_tick_ahead_of_the_clock(self, store: Store, clock: FakeClock) -> None:
        entry = registered(store)
        assert tick(store, entry, by=MINUTE)

        assert registered(store, spec="{}", rhythm="[]").last == entry.last + MINUTE

    @needs(Capability.TICK)
    def test_entries_are_given_by_name_and_tell_who_declared_them(self, store: Store) -> None:
        registered(store, "b")
        registered(store, "a", declared=False)
        known = store.run(store.entries("shop")).entries

        assert [(entry.name, entry.declared) for entry in known] == [("a", False), ("b", True)]

    @needs(Capability.TICK)
    def test_two_applications_keep_entries_of_one_name_apart(self, store: Store) -> None:
        registered(store, spec="1")
        registered(store, spec="2", application="bank")

        assert [one.spec for one in store.run(store.entries("shop")).entries] == ["1"]
        assert [one.spec for one in store.run(store.entries("bank")).entries] == ["2"]
        assert [one.application for one in store.run(store.entries()).entries] == ["bank", "shop"]

    @needs(Capability.TICK)
    def test_many_are_registered_in_one_call(self, store: Store) -> None:
        names = [f"entry-{number:04}" for number in range(5000)]
        store.run(store.register("shop", [NewEntry(name, "", name) for name in names], True, new_call()))

        assert [(one.name, one.spec) for one in store.run(store.entries("shop")).entries] == [(n, n) for n in names]


class TickContract(ContractTests):
    @needs(Capability.TICK)
    def test_a_tick_moves_the_entry_on_and_enqueues_its_job(self, store: Store) -> None:
        entry = registered(store)

        assert tick(store, entry, job(args='{"n":10000000000000000000001}'))
        assert entry_of(store).last == entry.last + MINUTE
        assert [claimed.args for claimed in claim(store)] == ['{"n":10000000000000000000001}']

    @needs(Capability.TICK)
    def test_a_tick_that_another_did_is_refused_and_enqueues_nothing(self, store: Store, another: Another) -> None:
        entry = registered(store)
        tick(store, entry, job())

        assert not tick(another(), entry, job())
        assert not tick(another(), entry, job(), by=2 * MINUTE)
        assert entry_of(store).last == entry.last + MINUTE
        assert len(everything(store)) == 1

    @needs(Capability.TICK)
    def test_a_tick_without_jobs_skips(self, store: Store) -> None:
        entry = registered(store)

        assert tick(store, entry)
        assert not tick(store, entry)
        assert entry_of(store).last == entry.last + MINUTE
        assert everything(store) == []

    @needs(Capability.TICK)
    def test_a_tick_may_make_up_for_many_missed_runs(self, store: Store) -> None:
        entry = registered(store)

        assert tick(store, entry, *[job(args=f"[{n}]", meta=f'{{"at":{n}}}') for n in range(MOST_TICKS)])
        assert [stored.args for stored in everything(store)] == [f"[{n}]" for n in range(MOST_TICKS)]

    @needs(Capability.TICK)
    def test_a_tick_of_too_many_jobs_is_refused(self, store: Store) -> None:
        with pytest.raises(EnqueueError, match="at most 1000"):
            tick(store, registered(store), *[job()] * (MOST_TICKS + 1))

    @needs(Capability.TICK)
    def test_a_tick_planned_by_an_earlier_specification_is_refused(self, store: Store) -> None:
        entry = registered(store)
        changed = registered(store, spec="{}")

        assert not tick(store, entry, job())
        assert tick(store, changed, job())
        assert len(everything(store)) == 1

    @needs(Capability.TICK)
    def test_a_tick_of_an_entry_that_is_gone_is_refused(self, store: Store) -> None:
        entry = registered(store)
        store.run(store.remove_entries([entry]))

        assert not tick(store, entry, job())
        assert not tick(store, entry)
        assert everything(store) == []

    @needs(Capability.TICK)
    def test_a_tick_sent_again_changes_nothing_and_answers_the_same(self, store: Store) -> None:
        entry, call = registered(store), new_call()

        assert tick(store, entry, job(), call=call)
        assert tick(store, entry, job(), call=call)
        assert len(everything(store)) == 1

    @needs(Capability.TICK)
    def test_a_refused_tick_leaves_nothing_that_a_later_one_could_stumble_over(self, store: Store) -> None:
        entry, call = registered(store), new_call()
        assert not tick(store, step_back(entry), job(), call=call)

        assert tick(store, entry, job(), call=call)
        assert len(everything(store)) == 1

    @needs(Capability.TICK)
    def test_the_tick_of_another_application_is_not_ours(self, store: Store) -> None:
        entry, other = registered(store), registered(store, application="bank")

        assert tick(store, entry, job())
        assert tick(store, other, job())

    @needs(Capability.TICK | Capability.SCHEDULE)
    def test_jitter_delays_the_job_and_never_moves_the_tick(self, store: Store, clock: FakeClock) -> None:
        entry = registered(store)
        tick(store, entry, job(due=Due(MINUTE)))

        (stored,) = everything(store)
        assert (stored.state, stored.run_at) == (State.SCHEDULED, clock.now() + MINUTE)
        assert entry_of(store).last == entry.last + MINUTE

    @needs(Capability.TICK | Capability.UNIQUE)
    def test_a_job_whose_key_is_taken_is_not_enqueued_and_the_tick_moves_on(self, store: Store) -> None:
        entry = registered(store)
        tick(store, entry, job(unique=UniqueKey("key"), due=later()))
        entry = entry_of(store)

        assert tick(store, entry, job(unique=UniqueKey("key")))
        assert entry_of(store).last == entry.last + MINUTE
        (stored,) = everything(store)
        assert state_of(store, stored.id) is State.SCHEDULED

    @needs(Capability.TICK)
    def test_the_tags_of_a_ticked_job_route_it(self, store: Store) -> None:
        tick(store, registered(store), job(route="gpu"), job())

        assert store.run(store.routes()) == ["gpu"]
        assert len(claim(store, routes=["gpu"])) == 1

    @needs(Capability.TICK | Capability.LIMITS)
    def test_the_gates_of_a_ticked_job_hold_it(self, store: Store) -> None:
        store.run(store.define([Rule("send", running=1)], replace=True))
        tick(store, registered(store), *[job(gates=(Gate("send="),))] * 3)

        assert claim(store) == []
        store.run(store.admit(10))
        assert len(claim(store)) == 1

    @needs(Capability.TICK | Capability.EXPIRY)
    def test_a_ticked_job_expires(self, store: Store, clock: FakeClock) -> None:
        tick(store, registered(store), job(expires=Due(MINUTE)), job())
        clock.advance("2m")

        assert store.run(store.expire(10)).count == 1
        assert len(claim(store)) == 1

    @needs(Capability.TICK)
    def test_jobs_enqueued_before_and_after_have_ids_of_their_own(self, store: Store) -> None:
        store.run(store.enqueue([job()], new_call()))
        tick(store, registered(store), job(), job())
        store.run(store.enqueue([job()], new_call()))

        assert len({claimed.id for claimed in claim(store)}) == 4

    @needs(Capability.TICK)
    def test_of_ten_that_tick_at_once_one_does(self, store: Store, another: Another) -> None:
        handles = [another() for _ in range(10)]
        for number in range(10):
            entry = registered(store, f"entry-{number}")
            answers = at_once([partial(tick, handle, entry, job(name=entry.name)) for handle in handles])

            assert sorted(answers) == [False] * 9 + [True]
        assert sorted(stored.name for stored in everything(store)) == [f"entry-{number}" for number in range(10)]


class PauseEntryContract(ContractTests):
    @needs(Capability.TICK)
    def test_a_paused_entry_does_not_tick(self, store: Store, clock: FakeClock) -> None:
        entry = registered(store)

        assert store.run(store.pause_entries("shop", ["nightly", "unknown"], True)).count == 1
        assert entry_of(store).paused_at == clock.now()
        assert not tick(store, entry, job())
        assert everything(store) == []

    @needs(Capability.TICK)
    def test_what_was_due_during_a_pause_is_not_due_afterwards(self, store: Store, clock: FakeClock) -> None:
        registered(store)
        store.run(store.pause_entries("shop", ["nightly"], True))
        clock.advance("1h")

        assert store.run(store.pause_entries("shop", ["nightly"], False)).count == 1
        resumed = entry_of(store)
        assert (resumed.paused_at, resumed.last) == (None, clock.now())
        assert tick(store, resumed, job())

    @needs(Capability.TICK)
    def test_what_is_as_wished_is_not_counted(self, store: Store) -> None:
        registered(store)

        assert store.run(store.pause_entries("shop", ["nightly"], False)).count == 0
        store.run(store.pause_entries("shop", ["nightly"], True))
        assert store.run(store.pause_entries("shop", ["nightly"], True)).count == 0
        assert store.run(store.pause_entries("bank", ["nightly"], False)).count == 0

    @needs(Capability.TICK)
    def test_an_entry_stays_paused_when_it_is_registered_again(self, store: Store) -> None:
        registered(store)
        store.run(store.pause_entries("shop", ["nightly"], True))

        assert registered(store, spec="{}").paused_at is not None


class RemoveEntryContract(ContractTests):
    @needs(Capability.TICK)
    def test_removed_entries_are_gone_and_the_others_stay(self, store: Store) -> None:
        entries = [registered(store, name) for name in "abc"]

        assert store.run(store.remove_entries(entries[:2])).count == 2
        assert [one.name for one in store.run(store.entries("shop")).entries] == ["c"]
        assert store.run(store.remove_entries(entries[:2])).count == 0

    @needs(Capability.TICK)
    def test_an_entry_that_was_registered_anew_since_it_was_read_stays(self, store: Store) -> None:
        entry = registered(store)
        registered(store)

        assert store.run(store.remove_entries([entry])).count == 0
        assert entry_of(store).name == "nightly"

    @needs(Capability.TICK)
    def test_an_entry_of_another_application_stays(self, store: Store) -> None:
        call = new_call()
        entry = registered(store, call=call)
        registered(store, application="bank", call=call)
        store.run(store.remove_entries([entry]))

        assert [one.application for one in store.run(store.entries()).entries] == ["bank"]

    @needs(Capability.TICK)
    def test_an_entry_that_comes_back_begins_anew(self, store: Store, clock: FakeClock) -> None:
        store.run(store.remove_entries([registered(store)]))
        clock.advance("1h")

        entry = registered(store, spec="{}")
        assert (entry.version, entry.anchor, entry.last) == (1, clock.now(), clock.now())
        assert tick(store, entry, job())


def step_back(entry: Entry) -> Entry:
    """Give an entry as nobody has it."""
    return msgspec.structs.replace(entry, last=entry.last - 1)
