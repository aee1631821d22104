"""Adapters: optimizers of other packages as optimizers of the lab."""
