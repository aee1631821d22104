"""Figures, drawn by matplotlib from the views."""
