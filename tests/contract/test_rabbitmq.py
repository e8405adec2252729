"""The contract, kept by RabbitMQ as far as a broker can keep it; what it cannot keep is listed here with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from stoker.stores.base import Store
from stoker.testing.contract import Place, StoreContract
from tests.contract.rabbitmq_patience import HurriedClock, PatientStore

NOT_KEPT: Final[Mapping[str, tuple[str, ...]]] = {
    "it lacks PRIORITY": ("test_a_claim_carries_what_was_enqueued",),
    "it lacks TAGS": (
        "test_a_store_knows_the_routes_of_its_jobs",
        "test_routes_are_known_whatever_the_jobs_wait_for",
        "test_another_handle_learns_of_a_route_at_once",
        "test_routes_are_exact_and_case_sensitive",
        "test_a_worker_takes_what_shares_a_tag_in_the_order_of_the_queue",
        "test_only_the_routes_asked_for_are_taken",
        "test_first_in_is_first_out_over_names_and_routes",
        "test_odd_names_arrive_as_they_are",
        "test_a_stored_job_shows_what_was_enqueued",
        "test_jobs_are_counted_by_queue_name_route_and_state",
        "test_what_this_worker_could_not_perform_is_no_work",
    ),
    "it lacks RECEIPTS": (
        "test_a_repeated_call_is_known_when_its_jobs_are_done_and_deleted",
        "test_a_repeated_call_is_known_for_an_hour",
        "test_one_call_sent_many_times_at_once_is_carried_out_once",
        "test_an_ending_sent_again_is_repeated_after_the_job_was_promoted",
        "test_an_ending_of_a_job_that_was_deleted_when_done_is_gone",
        "test_an_ending_of_a_job_that_never_was_is_gone",
        "test_bad_settlements_do_not_fail_the_good_ones",
    ),
    "it has no leader: there is nothing to prune": (
        "test_one_of_many_leads",
        "test_the_first_to_ask_leads_and_the_second_does_not",
        "test_who_leads_may_go_on_leading",
        "test_a_leader_who_falls_silent_is_followed_by_another",
        "test_only_the_leader_can_resign",
        "test_pruning_takes_so_many_and_tells_whether_there_are_more",
    ),
    "it makes delayed jobs available by itself, and tells nobody when": (
        "test_what_is_due_is_promoted_once_however_many_promote",
        "test_a_promotion_wakes",
        "test_a_job_for_later_is_work_once_it_is_due",
        "test_a_scheduled_job_runs_at_its_time",
        "test_a_retry_does_not_run_before_its_time",
        "test_what_is_due_first_is_promoted_first",
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
def place(rabbitmq_url: str) -> Place:
    def connect(*, clock: HurriedClock) -> Store:
        return PatientStore(rabbitmq_url, clock)

    return Place(connect)


class TestRabbitStore(StoreContract):
    @pytest.fixture
    def clock(self, request: pytest.FixtureRequest) -> HurriedClock:
        if reason := _REASONS.get(request.function.__name__):
            pytest.skip(reason)
        return HurriedClock()
