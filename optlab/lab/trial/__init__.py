"""One trial: its task, its budget, its stopping rule, its record, and running it."""
