"""A small HTTP agent that picks one tool for one question; what it does comes only from its version document.

It needs Python 3.11 and prometheus-client, nothing else, and is laid out as `/app/agent` in its image.
"""
