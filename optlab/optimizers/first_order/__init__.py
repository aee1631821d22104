"""First-order rules: directions from gradients, each in one file, all run by `descend`."""
