"""What a user writes: job definitions, their options and arguments, and the handles of enqueued jobs."""
