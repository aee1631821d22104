"""Solvers of linear models whose answers come with a proven bound."""
