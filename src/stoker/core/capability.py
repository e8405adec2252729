"""What a store can do beyond the eleven verbs that every store has."""

from __future__ import annotations

from enum import Flag, auto


class Capability(Flag):
    """Each flag stands for verbs (first block) or for a meaning (second block); its absence is refused aloud."""

    FIND = auto()
    """`find`: look up and list jobs."""
    CANCEL = auto()
    """`cancel`: end waiting jobs."""
    RETRY = auto()
    """`retry`: make ended or waiting jobs available again."""
    DELETE = auto()
    """`delete`: remove jobs that do not run."""
    PAUSE = auto()
    """`pause`, `paused`: stop and resume queues and names."""
    PRESENCE = auto()
    """`beat`, `workers`: workers are known to each other."""
    SIGNALS = auto()
    """`orders`: workers can be told from outside to claim no more, to stop, or to say what they do."""
    RESULTS = auto()
    """`result`: endings and results can be asked for by id."""
    HISTORY = auto()
    """What has ended is kept for its time, with every failure, and with what was counted on the way."""
    EDIT = auto()
    """`edit`, `move`: change waiting jobs."""
    RESTORE = auto()
    """`restore`: import jobs with their states."""
    HOLD = auto()
    """`hold`, `holds`, `last_due`: waiting jobs can be taken out, whatever their time, to be moved elsewhere."""
    RECEIVE = auto()
    """`receive`: jobs of another store are taken in as they stand, each once, however often that is repeated."""
    EXPIRY = auto()
    """`expire`: jobs that were not started in time are cancelled."""
    NOTE = auto()
    """`note`, `saved`, `logged`: progress, checkpoints and log lines of running jobs."""
    LIMITS = auto()
    """`admit`, `define`: limits on running jobs and rates, across workers."""
    OVERRIDE = auto()
    """`override`, `overrides`, `override_history`: limits, rates, timeouts and attempts said at run time."""
    TICK = auto()
    """`register`, `entries`, `tick`, `pause_entries`, `remove_entries`: periodic entries, each tick at most once."""
    BATCH = auto()
    """`open_batch`, `batches`, `advance`: batches and workflows."""

    SCHEDULE = auto()
    """Jobs can be due later."""
    PROMOTION = auto()
    """`promote` moves what is due, counts it and wakes workers; without it time alone makes a job available."""
    QUEUE_NAMES = auto()
    """Queues can have any name."""
    PRIORITY = auto()
    """Higher priority runs first."""
    UNIQUE = auto()
    """Unique keys."""
    UNIQUE_TO_START = auto()
    """Unique keys that are free once their holder has started, or after a day; without UNIQUE only these."""
    TRANSACTIONS = auto()
    """`on=` joins the caller's transaction."""
    LEASE = auto()
    """A silent worker loses its jobs without an operator."""
    CANCEL_RUNNING = auto()
    """A running job can be asked to stop."""
    NOTIFY = auto()
    """An enqueue in another process wakes waiting workers without polling the queue."""
    FENCED = auto()
    """A late settle is refused by token."""
    SELECTIVE = auto()
    """Claims are by name; unknown names wait untouched."""
    ATOMIC = auto()
    """An ending and what follows from it are one unit."""
    ORDER = auto()
    """Jobs of a queue come in the order in which they became available, over all names; without it only per name."""
    TAGS = auto()
    """Tags route jobs: `routes` tells which sets of tags there are."""
    RECEIPTS = auto()
    """A call that is repeated is known: an enqueue inserts nothing anew, an ending is `repeated`."""
