"""How a worker asks for jobs: for every queue, and again as long as one may have more."""

from __future__ import annotations

from tests.rigs.worker import Rig


async def test_a_backlog_in_one_queue_is_worked_off_without_a_pause_although_another_is_empty(rig: Rig) -> None:
    performed: list[int] = []

    @rig.app.job(queue="mail")
    async def mail(n: int) -> None:
        performed.append(n)

    rig.app.enqueue_many([mail.draft(n) for n in range(20)])
    async with rig.working(queues=("default", "mail"), concurrency=4):
        await rig.settle_down()
        assert len(performed) == 20
