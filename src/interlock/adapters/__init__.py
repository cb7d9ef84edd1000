"""One outside system each; strangers to one another."""
