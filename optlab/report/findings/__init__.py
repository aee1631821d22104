"""Findings: sentences made from the numbers of the tables."""
