"""Compiled optimizers: many epochs in one loop, by numba on the CPU and Triton on CUDA devices."""
