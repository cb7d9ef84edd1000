"""Rollouts without a cluster: scripted agents, a played API server, and the operator's own core. Pure."""
