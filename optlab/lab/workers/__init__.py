"""Trials in other processes: the worker pool, its processes, pickling, executors."""
