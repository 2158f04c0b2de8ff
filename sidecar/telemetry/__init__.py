"""Access log entries → outcomes, windows, metrics."""
