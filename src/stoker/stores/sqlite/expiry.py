# ruff: noqa: S608 - texts are put together from constants of this package; values travel as parameters
"""Jobs that must start in time: how those end that did not."""

from __future__ import annotations

from typing import Final

from stoker.core import expiry
from stoker.core.command import Sql, Value
from stoker.stores.sqlite.wire import CLOSE_WINDOWS, DELETE_UNKEPT

_CHOSEN: Final = """SELECT id FROM stoker_job INDEXED BY stoker_job_start_by
    WHERE start_by IS NOT NULL AND start_by <= :now AND state IN (0, 1, 2, 4) AND failures = 0 AND crashes = 0
        AND snoozes = 0 ORDER BY start_by LIMIT :limit"""

TELL: Final = f"""
SELECT CAST((SELECT json_group_array(CAST(id AS TEXT)) FROM ({_CHOSEN} + 1)) AS BLOB) AS ids"""

RECORD: Final = f"""
INSERT INTO stoker_failure (job, attempt, at, type, message, trace, worker)
SELECT id, 1, :now, :type, :message, '', '' FROM ({_CHOSEN})"""

EXPIRE: Final = f"""
UPDATE stoker_job NOT INDEXED SET state = 6, pos = 0, finished_at = :now, expires_at = :now + keep_failed
WHERE id IN ({_CHOSEN})"""


def expire_steps(limit: int) -> tuple[Sql, ...]:
    """Give the steps that cancel what was not started in time."""
    params: dict[str, Value] = {"limit": limit, "type": expiry.TYPE, "message": expiry.MESSAGE}
    return (
        Sql(TELL, params),
        Sql(CLOSE_WINDOWS, {}),
        Sql(RECORD, params),
        Sql(EXPIRE, params),
        Sql(DELETE_UNKEPT, {}),
    )
