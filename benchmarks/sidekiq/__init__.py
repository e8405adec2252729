"""Ruby's Sidekiq beside stoker, on the same Redis server."""
