"""Losses of a linear model's prediction, one a file, each with its public problem class."""
