"""Raw counter samples from Prometheus: `ports.Metrics`. Believes nothing: what is not a well-formed,
complete answer is `Unreadable`, never zero and never an exception.

`metrics` joins what is asked at one moment into few queries; `query` words them, `client` asks, `access`
says who we are, `breaker` keeps us from asking a server that is down, `answers` reads what came.
"""

from interlock.adapters.prometheus.metrics import PrometheusMetrics

__all__ = ["PrometheusMetrics"]
