"""Checks of problems: protocol, capabilities, reference, copies."""
