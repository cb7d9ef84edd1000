"""Pure decisions: no I/O, no clock, no randomness; time and names come in as arguments."""
