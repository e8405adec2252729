"""The contract suite: what a class of `Store` must do, as tests to subclass."""
