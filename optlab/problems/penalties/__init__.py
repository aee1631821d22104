"""Penalties on the weights of a linear model."""
