"""The contract, kept by RabbitMQ as far as a broker can keep it; what it cannot keep is listed here with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from secrets import token_hex
from typing import Final

import pytest

from stoker.stores.base import Store
from stoker.stores.rabbitmq import RabbitStore
from stoker.testing.contract import Place, StoreContract
from tests.contract.rabbitmq_patience import HurriedClock, PatientStore

NOT_KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "it has no leader: there is nothing to prune": (
        "test_one_of_many_leads",
        "test_the_first_to_ask_leads_and_the_second_does_not",
        "test_who_leads_may_go_on_leading",
        "test_a_leader_who_falls_silent_is_followed_by_another",
        "test_only_the_leader_can_resign",
        "test_pruning_takes_so_many_and_tells_whether_there_are_more",
    ),
    "it makes delayed jobs available by itself, and tells nobody when": (
        "test_a_job_for_later_is_work_once_it_is_due",
        "test_what_is_due_is_claimed_in_the_order_of_time",
        "test_promotion_tells_what_is_due_next",
        "test_a_claim_tells_what_is_due_next",
        "test_a_claim_tells_when_a_retry_is_due",
        "test_all_states_are_counted",
    ),
    "its leases end with the connection, by no clock: see test_breaking_rabbitmq.py": (
        "test_a_crash_is_counted_once_however_many_take_back",
        "test_a_reclaim_wakes",
        "test_an_ending_of_a_job_that_was_taken_back_is_lost",
        "test_a_late_ending_does_not_touch_the_attempt_that_runs_now",
        "test_the_next_claim_knows_its_job_for_a_suspect",
        "test_the_answer_names_who_was_discarded",
        "test_the_neighbours_of_a_culprit_are_counted_once",
        "test_a_suspects_start_counts_in_its_own_claim_only",
        "test_a_supervised_crash_counts_like_any_other",
        "test_a_discarded_job_that_is_not_kept_is_gone_and_named",
        "test_a_lease_that_ended_is_taken_back",
        "test_a_heartbeat_counts_from_now",
        "test_a_lease_that_was_taken_back_is_missing",
        "test_a_lease_stays_missing_when_another_holds_the_job",
        "test_reclaiming_takes_the_jobs_of_so_many_leases",
        "test_a_supervisor_takes_the_given_leases_back_at_once",
        "test_jobs_that_were_taken_back_wait_behind_the_others",
        "test_a_suspect_that_did_not_start_goes_back_uncounted",
    ),
}
_REASONS: Final = {name: reason for reason, names in NOT_KEPT.items() for name in names}


@pytest.fixture
def place(rabbitmq_server: str) -> Iterator[Place]:
    """A prefix of the test's own, dropped only where there is something: most of the tests are skipped."""
    url = f"{rabbitmq_server}?prefix=t_{token_hex(6)}"
    opened: list[PatientStore] = []

    def connect(*, clock: HurriedClock) -> Store:
        opened.append(PatientStore(url, clock))
        return opened[-1]

    yield Place(connect)
    if any(store.was_reached for store in opened):
        store = RabbitStore(url)
        store.drop()
        store.close()


def clock_for(request: pytest.FixtureRequest) -> HurriedClock:
    """Give a test its clock, and skip one that a broker cannot keep."""
    if reason := _REASONS.get(request.function.__name__):
        pytest.skip(reason)
    return HurriedClock()


class TestRabbitStore(StoreContract):
    @pytest.fixture
    def clock(self, request: pytest.FixtureRequest) -> HurriedClock:
        return clock_for(request)
