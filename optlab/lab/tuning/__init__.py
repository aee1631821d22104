"""Search hyperparameters: what to try next, which setting is best, whether its range is enough."""
