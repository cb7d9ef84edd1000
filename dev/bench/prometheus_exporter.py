"""`python -m dev.bench.prometheus_exporter PORT`: every pod of every agent, each a target of its own.

GET /<anything> gives what one pod exports; Prometheus adds the labels that say whose it is. What has been
done is reckoned from the time, so it costs little: it must not be what is measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from aiohttp import web

TASKS_A_SECOND = 0.2
"""Of one pod."""
BOUNDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
TOOLS = ("search", "refund")
RESULTS = ("ok", "error", "denied", "invalid_args", "suppressed")
BEGAN = time.time() - 3600


def exported(seconds: float) -> Iterator[str]:
    """All that metrics.md asks of an agent and six gates read, after that long at work; a line each."""
    tasks = int(TASKS_A_SECOND * seconds)
    failed, abandoned = tasks // 20, tasks // 400
    yield f"process_start_time_seconds {BEGAN:.2f}"
    yield f"ai_agent_tasks_started_total {tasks + 1}"
    done = {"success": tasks - failed - abandoned, "failure": failed, "abandoned": abandoned, "escalated": 0}
    for outcome, count in done.items():
        yield f'ai_agent_tasks_total{{outcome="{outcome}"}} {count}'
    for rule, severity, each in (("tone", "low", 500), ("scope", "medium", 2000), ("pii", "high", 10**9)):
        yield f'ai_agent_policy_violations_total{{rule="{rule}",severity="{severity}"}} {tasks // each}'
    yield 'ai_agent_policy_violations_total{rule="payment",severity="critical"} 0'
    for tool in TOOLS:
        for result in RESULTS:
            count = {"ok": 2 * tasks, "error": tasks // 30}.get(result, 0)
            yield f'ai_agent_tool_calls_total{{tool="{tool}",result="{result}"}} {count}'
    for kind, price in (("inference", 0.012), ("tool", 0.001), ("judge", 0.0)):
        yield f'ai_agent_cost_usd_total{{kind="{kind}"}} {tasks * price:.4f}'
    for bound in BOUNDS:
        share = bound / (bound + 0.4)
        yield f'ai_agent_task_duration_seconds_bucket{{le="{bound}"}} {int(tasks * share)}'
    yield f'ai_agent_task_duration_seconds_bucket{{le="+Inf"}} {tasks}'


SERIES = len(list(exported(0.0)))
"""Of one pod."""


async def answer(_: web.Request) -> web.Response:
    """What a pod exports now."""
    return web.Response(text="\n".join(exported(time.time() - BEGAN)) + "\n")


def main(port: int) -> None:
    """Serve until ended."""
    app = web.Application()
    app.add_routes([web.get("/{pod:.*}", answer)])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
