"""Saying no: a verb whose capability is missing is refused at once, and the refusal names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from stoker.core.batch import BatchMove, new_batch
from stoker.core.capability import Capability
from stoker.core.command import Command
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, State, new_call, new_token
from stoker.core.periodic import Tick
from stoker.core.settlement import Settlement
from stoker.errors import NotSupported
from stoker.stores.base import Store
from stoker.testing.contract.base import Another, ContractTests, claim, enqueue_one, job
from stoker.testing.contract.coordinate import worker

VERBS: Final[Mapping[str, tuple[Capability, Callable[[Store], Command[object]]]]] = {
    "complete": (
        Capability.TRANSACTIONS,
        lambda store: store.complete(Settlement(JobId("1"), new_token(), State.COMPLETED)),
    ),
    "find": (Capability.FIND, lambda store: store.find(Filter(), 10)),
    "result": (Capability.RESULTS, lambda store: store.result(JobId("1"))),
    "cancel": (Capability.CANCEL, lambda store: store.cancel(Filter(), 10)),
    "retry": (Capability.RETRY, lambda store: store.retry(Filter(), 10)),
    "promote_now": (Capability.RETRY, lambda store: store.promote_now(Filter(), 10)),
    "requeue": (Capability.RETRY, lambda store: store.requeue(Filter(), 10)),
    "delete": (Capability.DELETE, lambda store: store.delete(Filter(), 10)),
    "pause": (Capability.PAUSE, lambda store: store.pause("queue", ["default"], True)),
    "paused": (Capability.PAUSE, lambda store: store.paused()),
    "beat": (Capability.PRESENCE, lambda store: store.beat(worker("crew-1"), 0)),
    "workers": (Capability.PRESENCE, lambda store: store.workers()),
    "expire": (Capability.EXPIRY, lambda store: store.expire(10)),
    "orders": (Capability.SIGNALS, lambda store: store.orders("crew-1")),
    "edit": (Capability.EDIT, lambda store: store.edit(Filter(), 10, {})),
    "move": (Capability.EDIT, lambda store: store.move(Filter(), 10, "mail")),
    "restore": (Capability.RESTORE, lambda store: store.restore([], new_call())),
    "hold": (Capability.HOLD, lambda store: store.hold(Filter(), 10, new_token(), "move to x")),
    "holds": (Capability.HOLD, lambda store: store.holds()),
    "last_due": (Capability.HOLD, lambda store: store.last_due()),
    "receive": (Capability.RECEIVE, lambda store: store.receive([], new_call())),
    "note": (Capability.NOTE, lambda store: store.note([])),
    "saved": (Capability.NOTE, lambda store: store.saved([])),
    "logged": (Capability.NOTE, lambda store: store.logged([])),
    "register": (Capability.TICK, lambda store: store.register("app", [], True, new_call())),
    "tick": (Capability.TICK, lambda store: store.tick(Tick("app", "nightly", 1, 0, 1), [], new_call())),
    "pause_entries": (Capability.TICK, lambda store: store.pause_entries("app", ["nightly"], True)),
    "remove_entries": (Capability.TICK, lambda store: store.remove_entries([])),
    "admit": (Capability.LIMITS, lambda store: store.admit(10)),
    "override": (Capability.OVERRIDE, lambda store: store.override("work", "{}", "ada")),
    "overrides": (Capability.OVERRIDE, lambda store: store.overrides()),
    "override_history": (Capability.OVERRIDE, lambda store: store.override_history("work", 1)),
    "define": (Capability.LIMITS, lambda store: store.define([], replace=True)),
    "entries": (Capability.TICK, lambda store: store.entries("app")),
    "open_batch": (Capability.BATCH, lambda store: store.open_batch(new_batch(), "{}", [], new_call())),
    "batches": (Capability.BATCH, lambda store: store.batches([], 10)),
    "advance": (
        Capability.BATCH,
        lambda store: store.advance(BatchMove(new_batch(), 1, "{}", (), False), [], new_call()),
    ),
}

ASKED: Final[Mapping[str, tuple[Capability, dict[str, Any]]]] = {
    "priority": (Capability.PRIORITY, {"priority": 5}),
    "tags": (Capability.TAGS, {"route": "gpu"}),
    "expires": (Capability.EXPIRY, {"expires": Due(60_000_000)}),
}


class RefusalContract(ContractTests):
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_is_there_or_refused_by_the_name_of_its_capability(self, store: Store, verb: str) -> None:
        capability, make = VERBS[verb]
        if store.supports(capability):
            assert make(store).name == verb
            return
        with pytest.raises(NotSupported, match=str(capability.name)) as refused:
            make(store)
        assert (refused.value.verb, refused.value.store) == (verb, store.url)

    @pytest.mark.parametrize("option", ASKED)
    def test_an_option_that_the_store_cannot_keep_is_refused_and_nothing_stored(
        self, store: Store, option: str
    ) -> None:
        capability, asked = ASKED[option]
        if store.supports(capability):
            pytest.skip(f"the store has {capability.name}")
        with pytest.raises(NotSupported, match=str(capability.name)):
            store.run(store.enqueue([job(), job(**asked)], new_call()))

        assert claim(store) == []

    def test_a_transaction_that_cannot_be_joined_is_refused_and_nothing_stored(self, store: Store) -> None:
        if store.supports(Capability.TRANSACTIONS):
            pytest.skip("the store joins transactions; what it makes of a strange connection is its own tests' matter")
        with pytest.raises(NotSupported, match="TRANSACTIONS"):
            store.run(store.enqueue([job()], new_call()), on=object())

        assert claim(store) == []


class HandleContract(ContractTests):
    def test_two_handles_see_the_same_jobs(self, store: Store, another: Another) -> None:
        enqueued = enqueue_one(store)

        assert [claimed.id for claimed in claim(another())] == [enqueued]

    def test_migrating_again_changes_nothing(self, store: Store) -> None:
        enqueued = enqueue_one(store)

        assert list(store.pending_migrations()) == []
        assert list(store.migrate()) == []
        assert [claimed.id for claimed in claim(store)] == [enqueued]

    def test_closing_twice_is_harmless_and_a_later_command_opens_again(self, store: Store) -> None:
        enqueued = enqueue_one(store)
        store.close()
        store.close()

        assert [claimed.id for claimed in claim(store)] == [enqueued]

    def test_a_command_is_named_after_its_verb(self, store: Store) -> None:
        assert store.enqueue([], new_call()).name == "enqueue"
        assert store.settle([]).name == "settle"
        assert store.promote(1).name == "promote"
