import os
from datetime import timedelta

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("SHOP_ENV", "test")

app = Celery("shop", broker="memory://", backend="cache+memory://")
app.conf.task_serializer = "json"
app.conf.timezone = "Europe/Berlin"
app.conf.update(result_expires=3600, accept_content=["json"])
app.autodiscover_tasks(["shop"])

app.conf.beat_schedule = {
    "tidy-every-night": {
        "task": "shop.tasks.tidy",
        "schedule": crontab(hour=3, minute=30),
        "args": ("tmp",),
    },
    "count-often": {
        "task": "shop.tasks.count",
        "schedule": timedelta(minutes=5),
        "options": {"queue": "reports"},
    },
}
