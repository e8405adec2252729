"""Tags: which lanes there are, what a claim of some of them passes by, and finding jobs by their tags."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, State, new_token
from stoker.core.routes import route_of, takes
from stoker.core.unique import UniqueKey
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    LEASE,
    Another,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    job,
    needs,
    settle,
)
from stoker.testing.contract.periodic import registered, tick
from stoker.testing.fake_clock import FakeClock


class RoutingContract(ContractTests):
    @needs(Capability.TAGS)
    def test_a_store_knows_the_routes_of_its_jobs(self, store: Store) -> None:
        assert store.run(store.routes()) == []
        enqueue(store, job(), job(route="gpu"), job("other", route="eu,gpu", queue="mail"), job(route="gpu"))

        assert sorted(store.run(store.routes())) == ["eu,gpu", "gpu"]

    @needs(Capability.UNIQUE | Capability.SCHEDULE | Capability.TAGS)
    def test_routes_are_known_whatever_the_jobs_wait_for(self, store: Store) -> None:
        enqueue(store, job(route="later", due=Due(HOUR)))
        enqueue(store, job(route="unique", unique=UniqueKey("key")))
        (claimed,) = claim(store, routes=["unique"])

        assert sorted(store.run(store.routes())) == ["later", "unique"]
        settle(store, claimed, State.RETRYABLE, due=Due(HOUR), counts="failure")
        assert sorted(store.run(store.routes())) == ["later", "unique"]

    @needs(Capability.TAGS)
    def test_another_handle_learns_of_a_route_at_once(self, store: Store, another: Another) -> None:
        enqueue_one(store, route="gpu")

        assert another().run(another().routes()) == ["gpu"]

    @needs(Capability.TICK)
    def test_the_routes_of_periodic_jobs_are_known(self, store: Store) -> None:
        assert tick(store, registered(store), job(route="gpu"))

        assert store.run(store.routes()) == ["gpu"]

    @needs(Capability.ATOMIC | Capability.TAGS)
    def test_the_routes_of_follow_ups_are_known(self, store: Store) -> None:
        settle(store, claim_one(store), State.COMPLETED, then=(job(route="gpu"), job(route="ssd", due=Due(HOUR))))

        assert sorted(store.run(store.routes())) == ["gpu", "ssd"]

    @needs(Capability.SELECTIVE | Capability.TAGS)
    def test_routes_are_exact_and_case_sensitive(self, store: Store) -> None:
        enqueue(store, job(route="GPU"), job(route="gpu2"), job(route="gp"))

        assert claim(store, routes=["gpu"]) == []
        assert sorted(store.run(store.routes())) == ["GPU", "gp", "gpu2"]

    @needs(Capability.SELECTIVE | Capability.TAGS)
    def test_a_worker_takes_what_shares_a_tag_in_the_order_of_the_queue(self, store: Store) -> None:
        tagged = [route_of(tags) for tags in (["gpu"], ["eu"], ["gpu", "eu"], ["ssd"], [])]
        ids = enqueue(store, *(job(route=route) for route in tagged), job(route="gpu"))
        mine = [route for route in store.run(store.routes()) if takes(route, ["gpu", "xl"])]

        assert [claimed.id for claimed in claim(store, routes=mine)] == [ids[0], ids[2], ids[5]]

    @needs(Capability.FIND)
    def test_jobs_are_found_by_any_of_their_tags(self, store: Store) -> None:
        one, two, _, _ = enqueue(store, job(route="gpu"), job(route="eu,gpu"), job(), job(route="gpu2"))

        def found(*tags: str) -> list[str]:
            return sorted(job.id for job in store.run(store.find(Filter(tags=tags), 10)))

        assert found("gpu") == sorted([one, two])
        assert found("eu", "other") == [two]
        assert found("GPU") == []


class OldestContract(ContractTests):
    """Claims by age alone: what a worker does from time to time, so that low priorities wait only for their turn."""

    @needs(Capability.PRIORITY)
    def test_the_longest_available_come_first_whatever_their_priority(self, store: Store) -> None:
        ids = enqueue(store, *(job(priority=priority) for priority in (0, -5, 9, 9, -5, 0)))

        assert oldest(store, 2) == ids[:2]
        assert oldest(store, 1) == ids[2:3]
        assert [claimed.id for claimed in claim(store, 1)] == ids[3:4]
        assert oldest(store, 10) == ids[4:]

    @needs(Capability.PRIORITY)
    def test_it_goes_by_when_a_job_became_available(self, store: Store, clock: FakeClock) -> None:
        later = enqueue_one(store, priority=9, due=Due(HOUR))
        now = enqueue_one(store, priority=-9)
        clock.advance("2h")
        store.run(store.promote(10))

        assert oldest(store, 1) == [now]
        assert oldest(store, 1) == [later]

    @needs(Capability.PRIORITY | Capability.SELECTIVE)
    def test_it_looks_into_the_lanes_asked_for_and_no_others(self, store: Store) -> None:
        enqueue(store, job("other"), job(route="gpu"), job(queue="mail"))
        asked = enqueue(store, job("b", priority=1), job("a", priority=2), job("b", priority=3), job("a", priority=-1))

        assert oldest(store, 3, names=("a", "b")) == asked[:3]
        assert oldest(store, 3, names=("a", "b")) == asked[3:]

    @needs(Capability.PRIORITY)
    def test_each_queue_has_a_demand_of_its_own_by_age_too(self, store: Store) -> None:
        a, _, b = enqueue(store, job(queue="a", priority=-1), job(queue="a", priority=1), job(queue="b"))

        assert sorted(oldest(store, 1, queues=("a", "b"))) == sorted([a, b])

    @needs(Capability.PRIORITY | Capability.PAUSE)
    def test_what_is_paused_is_left_alone_by_age_too(self, store: Store) -> None:
        enqueue(store, job("a"), job(queue="mail"))
        store.run(store.pause("name", ["a"], True))
        store.run(store.pause("queue", ["mail"], True))

        assert oldest(store, 5, names=("a", "work"), queues=("default", "mail")) == []

    @needs(Capability.PRIORITY)
    def test_a_repeat_answers_the_same_and_takes_nothing_new(self, store: Store) -> None:
        ids = enqueue(store, *(job(priority=priority) for priority in (0, 1, 2)))
        command = store.claim({"default": 2}, ["work"], [""], new_token(), "worker-1", LEASE, oldest=True)
        first, second = store.run(command).claims, store.run(command).claims

        assert sorted(claimed.id for claimed in first) == ids[:2]
        assert {claimed.id for claimed in second} == set(ids[:2])

    @needs(Capability.PRIORITY)
    def test_many_of_many_priorities_are_taken_in_order(self, store: Store) -> None:
        ids = enqueue(store, *(job(priority=number * 37 % 101 - 50) for number in range(150)))
        enqueue(store, *[job(priority=100)] * 120)

        assert sorted(oldest(store, 150), key=int) == sorted(ids, key=int)


def oldest(
    store: Store, limit: int, *, names: Sequence[str] = ("work",), queues: Sequence[str] = ("default",)
) -> list[JobId]:
    """Claim by age; give the ids."""
    demand = dict.fromkeys(queues, limit)
    command = store.claim(demand, names, [""], new_token(), "worker-1", LEASE, oldest=True)
    return sorted((claimed.id for claimed in store.run(command).claims), key=int)
