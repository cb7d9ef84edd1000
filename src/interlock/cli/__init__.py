"""The kubectl plugin: `kubectl interlock VERB`. Never imports kopf; what a verb needs, when it runs."""
