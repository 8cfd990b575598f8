"""Exit codes that several commands have."""

INTERRUPTED = 130
"""What Ctrl-C has ended."""
