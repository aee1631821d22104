"""Mutation testing: small faults planted in the package, and the tests that notice them."""
