"""Interlock: progressive delivery for AI agents on Kubernetes."""
