"""The answer of an experiment: a verdict and a ranked table, the same wherever they are shown."""
