"""The imperative shell: observe, decide, perform, record."""
