"""A real Kubernetes on one machine without Docker, in three kinds behind one interface.

``node`` runs real pods behind a real gateway (Linux, root); ``control-plane`` is
the API alone, ready in seconds; ``external`` is any cluster you have.

    from dev.cluster import up
    cluster = up("mine", "control-plane")
    cluster.kubectl("get", "namespaces")
    cluster.down()
"""

from dev.cluster.clusters import DEFAULT_NAME, Cluster, Gateway, Kind, attach, down, status, up
from dev.cluster.errors import ClusterError

__all__ = ["DEFAULT_NAME", "Cluster", "ClusterError", "Gateway", "Kind", "attach", "down", "status", "up"]
