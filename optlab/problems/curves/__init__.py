"""Nonlinear least squares: starts, scaled Gauss-Newton steps, trust region, reference, judge."""
