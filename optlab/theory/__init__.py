"""Theory of gradient descent on quadratic losses: curves, stability, noise and batch sizes."""
