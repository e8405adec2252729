"""Looking: find with every filter, page by page; count; whether there is work."""

from __future__ import annotations

import pytest

from stoker.core.capability import Capability
from stoker.core.filters import Filter
from stoker.core.job import Due, JobId, State
from stoker.stores.base import Store
from stoker.testing.contract.base import (
    HOUR,
    MINUTE,
    ContractTests,
    claim,
    claim_one,
    enqueue,
    enqueue_one,
    failure,
    job,
    job_in,
    kept,
    needs,
    settle,
)
from stoker.testing.fake_clock import FakeClock


class FindContract(ContractTests):
    @needs(Capability.FIND)
    def test_the_newest_job_comes_first(self, store: Store) -> None:
        ids = enqueue(store, job(), job(), job())

        assert found(store) == ids[::-1]

    @needs(Capability.FIND)
    def test_page_after_page_shows_every_job_once(self, store: Store) -> None:
        ids = enqueue(store, *[job()] * 25)
        pages: list[JobId] = []
        page = store.run(store.find(Filter(), 10))
        while page:
            pages += [job.id for job in page]
            page = store.run(store.find(Filter(), 10, pages[-1]))

        assert pages == ids[::-1]

    @needs(Capability.FIND)
    def test_a_page_keeps_its_place_when_its_last_job_is_gone(self, store: Store) -> None:
        ids = enqueue(store, *[job()] * 4)
        claims = claim(store)
        settle(store, claims[2], State.COMPLETED, keep=0)

        assert [job.id for job in store.run(store.find(Filter(), 10, ids[2]))] == [ids[1], ids[0]]

    @needs(Capability.FIND)
    def test_by_id(self, store: Store) -> None:
        first, _, third = enqueue(store, job(), job(), job())

        assert found(store, ids=(first, third, JobId("987654321"), JobId("not an id"))) == [third, first]

    @needs(Capability.FIND)
    def test_by_name_and_queue(self, store: Store) -> None:
        a, b, _ = enqueue(store, job("a"), job("b", queue="mail"), job("b"))

        assert found(store, names=("a",)) == [a]
        assert found(store, names=("a", "b"), queues=("mail",)) == [b]

    @needs(Capability.FIND)
    def test_by_state(self, store: Store) -> None:
        ids = {state: job_in(store, state, queue=state.value)[0] for state in State}

        expected = {state: [ids[state]] if kept(store, state) else [] for state in State}
        assert {state: found(store, states=(state,)) for state in State} == expected
        assert found(store, states=(State.AVAILABLE, State.SCHEDULED)) == [ids[State.AVAILABLE], ids[State.SCHEDULED]]

    @needs(Capability.FIND)
    def test_by_label(self, store: Store) -> None:
        red, both, _ = enqueue(store, job(labels=("red",)), job(labels=("blue", "red")), job(labels=("reddish",)))

        assert found(store, labels=("red",)) == [both, red]
        assert found(store, labels=("blue", "none")) == [both]

    @needs(Capability.FIND)
    def test_signs_that_databases_use_for_wildcards_stand_for_themselves(self, store: Store) -> None:
        percent, _, under, _, star, _ = enqueue(
            store,
            job("100%", labels=("50%",)),
            job("100 times", labels=("500",)),
            job("a_b", labels=("x_y",)),
            job("aXb", labels=("xzy",)),
            job("a*", labels=("[a]?",)),
            job("abc", labels=("aa",)),
        )

        assert [found(store, names=(name,)) for name in ("100%", "a_b", "a*")] == [[percent], [under], [star]]
        assert [found(store, labels=(label,)) for label in ("50%", "x_y", "[a]?")] == [[percent], [under], [star]]

    @needs(Capability.FIND)
    @pytest.mark.parametrize(
        ("path", "value", "matching"),
        [
            ("n", "1", {"number"}),
            ("n", '"1"', {"text"}),
            ("n", "true", {"true"}),
            ("n", "null", {"null"}),
            ("n", "123456789012345678901234567890", {"large"}),
            ("n", "9007199254740993", {"odd"}),
            ("n", '"50%_Ж\'"', {"signs"}),
            ("user.id", "42", {"nested"}),
            ("user", '{"id": 42}', {"nested"}),
            ("list", "[1,2]", {"list"}),
            ("absent", "null", set()),
        ],
    )
    def test_by_argument(self, store: Store, path: str, value: str, matching: set[str]) -> None:
        args = {
            "number": '{"n":1}',
            "text": '{"n":"1"}',
            "true": '{"n":true}',
            "null": '{"n":null}',
            "large": '{"n":123456789012345678901234567890}',
            "near large": '{"n":123456789012345678901234567891}',
            "odd": '{"n":9007199254740993}',
            "even": '{"n":9007199254740992}',
            "signs": '{"n":"50%_Ж\'"}',
            "not signs": '{"n":"500_Ж\'"}',
            "nested": '{"user":{"id":42}}',
            "list": '{"list": [1, 2]}',
            "no object": "[1]",
        }
        ids = enqueue(store, *(job(args=text) for text in args.values()))
        expected = {id for id, name in zip(ids, args, strict=True) if name in matching}

        assert set(found(store, args=((path, value),))) == expected

    @needs(Capability.FIND)
    def test_arguments_at_one_path_are_alternatives_and_paths_add_up(self, store: Store) -> None:
        a, b, _ = enqueue(store, job(args='{"n":1,"m":1}'), job(args='{"n":2,"m":1}'), job(args='{"n":2,"m":2}'))

        assert found(store, args=(("n", "1"), ("n", "2"), ("m", "1"))) == [b, a]

    @needs(Capability.FIND)
    def test_by_text_of_the_latest_failure(self, store: Store) -> None:
        earlier = failed(store, "no disk", "50% done_")
        latest = failed(store, "other", "no disk")
        failed(store, "500 done-")
        enqueue_one(store, queue="untried")

        assert found(store, error="no disk") == [latest]
        assert found(store, error="50%") == [earlier]
        assert found(store, error="done_") == [earlier]
        assert found(store, error="NO DISK") == []
        assert len(found(store, error="OSErr")) == 3

    @needs(Capability.FIND)
    def test_by_the_time_of_enqueueing(self, store: Store, clock: FakeClock) -> None:
        first = enqueue_one(store)
        clock.advance("1s")
        second = enqueue_one(store)

        assert found(store, enqueued_since=clock.now()) == [second]
        assert found(store, enqueued_before=clock.now()) == [first]

    @needs(Capability.FIND)
    def test_by_the_time_of_failing(self, store: Store, clock: FakeClock) -> None:
        first = failed(store, "x")
        clock.advance("1s")
        second = failed(store, "x")
        enqueue_one(store, queue="untried")

        assert found(store, failed_since=clock.now()) == [second]
        assert found(store, failed_before=clock.now()) == [first]

    @needs(Capability.FIND)
    def test_the_time_of_failing_is_that_of_the_latest_failure(self, store: Store, clock: FakeClock) -> None:
        twice = claim_one(store)
        settle(store, twice, State.AVAILABLE, counts="failure", error=failure())
        clock.advance("1s")
        (again,) = claim(store)
        settle(store, again, State.DISCARDED, counts="failure", error=failure())

        assert found(store, failed_since=clock.now()) == [twice.id]
        assert found(store, failed_before=clock.now()) == []

    @needs(Capability.FIND | Capability.HISTORY)
    def test_by_the_time_of_ending(self, store: Store, clock: FakeClock) -> None:
        first, _ = job_in(store, State.COMPLETED)
        clock.advance("1s")
        second, _ = job_in(store, State.DISCARDED)
        enqueue_one(store)

        assert found(store, finished_since=clock.now()) == [second]
        assert found(store, finished_before=clock.now()) == [first]

    @needs(Capability.FIND)
    def test_fields_restrict_each_other(self, store: Store) -> None:
        enqueue(store, job("a", queue="mail"), job("b"))

        assert found(store, names=("a",), queues=("default",)) == []


class CountContract(ContractTests):
    def test_an_empty_store_counts_nothing(self, store: Store) -> None:
        assert store.run(store.count()) == []

    @needs(Capability.TAGS)
    def test_jobs_are_counted_by_queue_name_route_and_state(self, store: Store, clock: FakeClock) -> None:
        start = clock.now()
        enqueue(store, job(), job(route="gpu"), job("send", queue="mail"))
        clock.advance("1s")
        enqueue_one(store)
        enqueue(store, job(due=Due(HOUR)), job(due=Due(MINUTE)))

        counted = {(c.queue, c.name, c.route, c.state): (c.count, c.oldest) for c in store.run(store.count())}
        assert counted == {
            ("default", "work", "", State.AVAILABLE): (2, start),
            ("default", "work", "gpu", State.AVAILABLE): (1, start),
            ("mail", "send", "", State.AVAILABLE): (1, start),
            ("default", "work", "", State.SCHEDULED): (2, clock.now() + MINUTE),
        }

    @needs(Capability.RESULTS)
    def test_all_states_are_counted(self, store: Store) -> None:
        for state in State:
            job_in(store, state, queue=state.value)

        counted = [(group.queue, group.state, group.count) for group in store.run(store.count())]
        assert sorted(counted) == sorted((state.value, state, 1) for state in State)

    def test_only_the_queues_asked_for_are_counted(self, store: Store) -> None:
        enqueue(store, job(queue="a"), job(queue="b"), job(queue="c"))

        assert sorted(group.queue for group in store.run(store.count(["a", "c", "none"]))) == ["a", "c"]


class AnyContract(ContractTests):
    def test_an_empty_store_has_no_work(self, store: Store) -> None:
        assert not is_work(store)

    def test_an_available_job_is_work(self, store: Store) -> None:
        enqueue_one(store)

        assert is_work(store)

    def test_a_running_job_is_work_whoever_runs_it(self, store: Store) -> None:
        claim_one(store)

        assert is_work(store)

    def test_a_job_that_ended_is_no_work(self, store: Store) -> None:
        settle(store, claim_one(store), State.COMPLETED)

        assert not is_work(store)

    @needs(Capability.SCHEDULE)
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYABLE])
    def test_a_job_for_later_is_work_once_it_is_due(self, store: Store, clock: FakeClock, state: State) -> None:
        job_in(store, state)
        assert not is_work(store)

        clock.advance("1h")
        assert is_work(store)

    @needs(Capability.SCHEDULE | Capability.TAGS)
    @pytest.mark.parametrize("state", [State.AVAILABLE, State.RUNNING, State.SCHEDULED])
    def test_what_this_worker_could_not_perform_is_no_work(self, store: Store, clock: FakeClock, state: State) -> None:
        job_in(store, state, name="other")
        job_in(store, state, queue="other")
        enqueue_one(store, route="gpu", due=Due(HOUR))
        clock.advance("1h")

        assert not is_work(store)

    @needs(Capability.PAUSE)
    @pytest.mark.parametrize(("kind", "value"), [("queue", "default"), ("name", "work")])
    def test_what_is_paused_cannot_be_performed_and_is_no_work(self, store: Store, kind: str, value: str) -> None:
        enqueue_one(store)
        store.run(store.pause(kind, [value], True))
        assert not is_work(store)

        store.run(store.pause(kind, [value], False))
        assert is_work(store)


def found(store: Store, **fields: object) -> list[JobId]:
    """Find by a filter of the given fields; give the ids."""
    return [job.id for job in store.run(store.find(Filter(**fields), 100))]  # type: ignore[arg-type]


def failed(store: Store, *messages: str) -> JobId:
    """Let a job fail once for each message, the last one for good."""
    id = enqueue_one(store)
    for message in messages:
        (claimed,) = claim(store)
        last = message == messages[-1]
        settle(store, claimed, State.DISCARDED if last else State.AVAILABLE, counts="failure", error=failure(message))
    return id


def is_work(store: Store) -> bool:
    """Ask whether there is work for a worker of the queue `default` that knows the job `work`."""
    return store.run(store.any(["default"], ["work"], [""]))
