"""stoker: background jobs for Python."""
