"""Times in English words."""

from __future__ import annotations

import pytest

from stoker.errors import ConfigurationError
from stoker.schedule.english import cron_of

TEXTS = {
    "every 5 minutes": "*/5 * * * *",
    "at 10:30 on mondays": "30 10 * * 1",
    "run every 1 second": "* * * * * *",
    "every 15 seconds": "*/15 * * * * *",
    "every second": "* * * * * *",
    "run every minute": "* * * * *",
    "hourly": "0 * * * *",
    "every 6 hours": "0 */6 * * *",
    "every 2 hours on mondays": "0 */2 * * 1",
    "every hour between 9am and 5pm": "0 9-17 * * *",
    "every 15 minutes between 9am and 5pm on weekdays": "*/15 9-17 * * 1-5",
    "at 10:00 am": "0 10 * * *",
    "fire every day at 4:00 pm": "0 16 * * *",
    "every other day": "0 0 */2 * *",
    "every second day at 1am": "0 1 */2 * *",
    "daily at midnight": "0 0 * * *",
    "at 12:00:30": "30 0 12 * * *",
    "at 12:15 am": "15 0 * * *",
    "at 9:00 am and 5:00 pm": "0 9,17 * * *",
    "run at midnight on the 1st and 15th of the month": "0 0 1,15 * *",
    "on the 1st of every month at noon": "0 12 1 */1 *",
    "on the last day of the month at 11 p.m.": "0 23 L * *",
    "On Sunday at 12:00": "0 12 * * 0",
    "7pm every Thursday": "0 19 * * 4",
    "midnight on Tuesdays": "0 0 * * 2",
    "every tuesday and friday at noon": "0 12 * * 2,5",
    "every weekday at 9:30": "30 9 * * 1-5",
    "weekends at 8pm": "0 20 * * 0,6",
    "monday to wednesday at 9": "0 9 * * 1,2,3",
    "friday through monday at 3": "0 3 * * 5,6,0,1",
    "every month": "0 0 1 * *",
    "every 3 months": "0 0 1 */3 *",
    "every week": "0 0 * * 0",
    "yearly": "0 0 1 1 *",
    "every year on january 1st": "0 0 1 1 *",
    "at 9am from march to may": "0 9 * 3,4,5 *",
}


@pytest.mark.parametrize("text", TEXTS)
def test_words_become_cron(text: str) -> None:
    assert cron_of(text).replace("*/1 ", "* ") == TEXTS[text].replace("*/1 ", "* ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("every blue moon", "'blue' in 'every blue moon' is not understood; write cron"),
        ("every 90 minutes", 'cannot count 90 minutes; write every= with a duration, e.g. every="90m"'),
        ("every 2 weeks", "cannot count 2 weeks"),
        ("at 9:30 and 10", "not of the same minute"),
        ("at 25:00", "'25:00'"),
        ("at 13pm", "'13pm'"),
        ("every 5 minutes at 10:30", "say one of them"),
        ("between 9am and 5pm", "say how often"),
        ("at", "does not say when"),
        ("every", "does not say when|not understood"),
        ("monday to", "ends too early"),
        ("every 5 bananas", "bananas"),
        ("§§", "not understood"),
        ("at 10:30!", "not understood"),
    ],
)
def test_what_is_not_understood_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        cron_of(text)
