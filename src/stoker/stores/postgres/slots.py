"""Unique keys.

A key is taken while its holder is in one of the holder's own states, or until an instant: so no verb
has to give one back, and a key whose holder waits again is simply taken again, unless another job took it meanwhile.
"""

from __future__ import annotations

from typing import Final

from stoker.stores.postgres.wire import STATE

TAKEN: Final = f"""(coalesce(slot.until > :now, false) OR EXISTS (
    SELECT FROM stoker.job AS holder WHERE holder.id = slot.holder AND holder.slot = slot.key
        AND (holder.slot_states >> {STATE.replace("job.", "holder.")}) & 1 = 1))"""
"""Of a row called ``slot``: nobody else may have it."""

LOCK_NUMBER: Final = "hashtextextended('stoker.' || {key}, 0)"
"""The advisory lock of a key, held until the end of the transaction by whoever may take the key."""

# Those that somebody's transaction is taking over are skipped.
CLOSE_WINDOWS: Final = """
WITH over AS MATERIALIZED (
    SELECT key, EXISTS (SELECT FROM stoker.job WHERE job.id = slot.holder) AS kept
    FROM stoker.slot WHERE until <= :now FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM stoker.slot WHERE key = ANY (ARRAY(SELECT key FROM over WHERE NOT kept))
)
UPDATE stoker.slot SET until = NULL WHERE key = ANY (ARRAY(SELECT key FROM over WHERE kept))"""
"""Ends the windows that are over, for jobs that come to wait again."""
