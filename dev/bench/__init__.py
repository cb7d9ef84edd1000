"""Figures for speed and memory on a real API server and a real Prometheus. Prints, asserts nothing."""
