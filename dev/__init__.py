"""Development tools: a local cluster, the demo, the benchmarks. Never shipped."""
