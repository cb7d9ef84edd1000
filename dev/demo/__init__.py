"""The sample agent on real data: its code, its versions, the load on it, and what to expect."""
