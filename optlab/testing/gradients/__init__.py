"""Checks of gradients: closed form, autograd, differences, batches and precision."""
