"""Label keys and mount points that Interlock puts on what it makes; each spelled once."""

from __future__ import annotations

PREFIX = "interlock.dev"
ROLLOUT = f"{PREFIX}/rollout"
AGENT = f"{PREFIX}/agent"
AGENT_VERSION = f"{PREFIX}/version"
MODE = f"{PREFIX}/mode"
WORKLOAD = f"{PREFIX}/workload"
RENDERED = f"{PREFIX}/rendered"
EVIDENCE = f"{PREFIX}/evidence"
TEMPLATE = f"{PREFIX}/template"
"""`"true"` on a user's template, `"false"` on our clones: one selector finds both and nothing else."""
PUT_BACK = f"{PREFIX}/put-back"
"""Annotation on a Deployment of ours: when its pods were last put back, from which generation, how often."""

FIELD_MANAGER = "interlock"
PUT_BACK_MANAGER = "interlock-put-back"
"""Under another name than our applies: who updates a child of ours as `interlock` is then not us."""
DOCUMENT_MOUNT = "/etc/interlock/agent"
DOCUMENT_KEY = "agent.json"
TEMPLATE_KEY = "template.json"
