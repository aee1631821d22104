"""The ground floor: knows tensors only."""
