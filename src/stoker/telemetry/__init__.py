"""What happens, told to whoever listens: typed events, and the log lines made of them."""
