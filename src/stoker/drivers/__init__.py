"""How bytes travel: the databases, the clock, the wake-up inside a process."""
