"""Workers that know of each other: leadership, presence."""

from __future__ import annotations

import msgspec

from stoker.core.capability import Capability
from stoker.core.job import WorkerInfo
from stoker.stores.base import Store
from stoker.testing.contract.base import MINUTE, Another, ContractTests, needs
from stoker.testing.fake_clock import FakeClock


class LeadContract(ContractTests):
    def test_the_first_to_ask_leads_and_the_second_does_not(self, store: Store, another: Another) -> None:
        other = another()

        assert store.run(store.lead("maintenance", "a", MINUTE))
        assert not other.run(other.lead("maintenance", "b", MINUTE))

    def test_who_leads_may_go_on_leading(self, store: Store, clock: FakeClock) -> None:
        for _ in range(3):
            assert store.run(store.lead("maintenance", "a", MINUTE))
            clock.advance("40s")

        assert not store.run(store.lead("maintenance", "b", MINUTE))

    def test_a_leader_who_falls_silent_is_followed_by_another(self, store: Store, clock: FakeClock) -> None:
        store.run(store.lead("maintenance", "a", MINUTE))
        clock.advance("61s")

        assert store.run(store.lead("maintenance", "b", MINUTE))
        assert not store.run(store.lead("maintenance", "a", MINUTE))

    def test_a_leader_who_resigns_is_followed_by_another(self, store: Store) -> None:
        store.run(store.lead("maintenance", "a", MINUTE))

        assert not store.run(store.lead("maintenance", "a", 0))
        assert store.run(store.lead("maintenance", "b", MINUTE))

    def test_only_the_leader_can_resign(self, store: Store) -> None:
        store.run(store.lead("maintenance", "a", MINUTE))
        store.run(store.lead("maintenance", "b", 0))

        assert not store.run(store.lead("maintenance", "b", MINUTE))

    def test_each_role_has_a_leader_of_its_own(self, store: Store) -> None:
        store.run(store.lead("maintenance", "a", MINUTE))

        assert store.run(store.lead("periodic", "b", MINUTE))


class PresenceContract(ContractTests):
    @needs(Capability.PRESENCE)
    def test_nobody_is_there_at_first(self, store: Store) -> None:
        assert store.run(store.workers()) == []

    @needs(Capability.PRESENCE)
    def test_a_worker_is_known_as_it_announced_itself(self, store: Store, another: Another, clock: FakeClock) -> None:
        info = worker("crew-1", queues=("mail", "it's 100%"), names=("send", "Ж"))
        store.run(store.beat(info, MINUTE))
        other = another()

        assert other.run(other.workers()) == [msgspec.structs.replace(info, beat_at=clock.now())]

    @needs(Capability.PRESENCE)
    def test_a_worker_may_announce_itself_anew(self, store: Store, clock: FakeClock) -> None:
        store.run(store.beat(worker("crew-1"), MINUTE))
        clock.advance("40s")
        store.run(store.beat(worker("crew-1", running=3, stopping=True), MINUTE))
        clock.advance("40s")

        (info,) = store.run(store.workers())
        assert (info.running, info.stopping, info.beat_at) == (3, True, clock.now() - 40_000_000)

    @needs(Capability.PRESENCE)
    def test_a_worker_that_falls_silent_is_no_longer_listed(self, store: Store, clock: FakeClock) -> None:
        store.run(store.beat(worker("crew-1"), MINUTE))
        store.run(store.beat(worker("crew-2"), 2 * MINUTE))
        clock.advance("61s")

        assert [info.id for info in store.run(store.workers())] == ["crew-2"]

    @needs(Capability.PRESENCE)
    def test_a_worker_that_leaves_takes_itself_off_the_list(self, store: Store) -> None:
        store.run(store.beat(worker("crew-1"), MINUTE))
        store.run(store.beat(worker("crew-2"), MINUTE))
        store.run(store.beat(worker("crew-1"), 0))

        assert [info.id for info in store.run(store.workers())] == ["crew-2"]


def worker(
    id: str,
    *,
    queues: tuple[str, ...] = ("default",),
    names: tuple[str, ...] = ("work",),
    running: int = 0,
    stopping: bool = False,
) -> WorkerInfo:
    """Make the announcement of a worker."""
    return WorkerInfo(id, "host.example", 4711, 1, queues, names, 10, running=running, stopping=stopping)
