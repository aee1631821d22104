"""Checks of optimizers, grouped by what they look at; `optlab.testing.check_optimizer` runs them."""
