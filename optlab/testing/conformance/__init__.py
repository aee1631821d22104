"""Checks of optimizers, grouped by what they look at; `check_optimizer` runs them."""
