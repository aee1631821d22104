"""Instruments that know nothing of trials: clock, memory, machine load, threads, devices."""
