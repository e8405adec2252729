"""Tasks of a shop, as Celery's documentation and many projects write them."""

from celery import chain, chord, group, shared_task
from celery.utils.log import get_task_logger

from shop.journal import note

logger = get_task_logger(__name__)
FAILED = set()


class GatewayDown(Exception):
    pass


@shared_task
def add(x, y):
    return x + y


@shared_task(name="shop.multiply", ignore_result=False, queue="math")
def multiply(x, y=2):
    return x * y


@shared_task
def total(numbers):
    note("total", sum(numbers))
    return sum(numbers)


@shared_task(bind=True, max_retries=3, default_retry_delay=0.01, acks_late=True)
def charge(self, order):
    """Fails twice, then succeeds."""
    try:
        if self.request.retries < 2:
            raise GatewayDown(f"order {order}")
    except GatewayDown as exc:
        note("retry", self.request.retries)
        raise self.retry(exc=exc, countdown=0.01 * 2**self.request.retries)
    note("charged", order)
    return order


@shared_task(autoretry_for=(GatewayDown,), retry_backoff=True, retry_backoff_max=60, retry_jitter=False, max_retries=1)
def flaky(key):
    if key not in FAILED:
        FAILED.add(key)
        raise GatewayDown(key)
    note("flaky", key)


@shared_task
def fails():
    note("fails", 1)
    raise ValueError("no")


@shared_task(rate_limit="10/m", soft_time_limit=30, expires=3600, priority=5)
def tidy(folder):
    note("tidy", folder)


@shared_task
def count():
    note("count", 1)


def order_placed(order):
    logger.info("order %s", order)
    charge.delay(order)
    fails.apply_async()
    multiply.apply_async((order,), {"y": 3}, countdown=0, queue="math")


def survey(numbers):
    group(add.s(number, 1) for number in numbers)()
    chord(add.s(number, number) for number in numbers)(total.s())
    chain(add.s(1, 2), multiply.s(4), total_of.s())()
    (add.si(1, 1) | count.si()).delay()


@shared_task
def total_of(number):
    note("total_of", number)
