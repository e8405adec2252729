"""What stores in formats of others share on Redis: claims that hold jobs under a token, and how their scripts run."""
