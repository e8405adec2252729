"""When periodic jobs are due: cron, intervals, English words, and the planner. Pure: takes instants, gives instants."""
