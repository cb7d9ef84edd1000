"""Whatever Prometheus answers: samples or a reason, never an exception, and never a Pass without data."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.adapters.prometheus.answers import parse
from interlock.adapters.prometheus.numbers import numbers
from interlock.analysis.gates import EvidenceReport, Verdict
from interlock.analysis.series import Series
from interlock.analysis.values import NoNumber
from interlock.core.observation import Unreadable
from interlock.model.release import Stage
from interlock.operator.evidence import Evidence
from interlock.operator.history import TRIES
from interlock.ports import Evaluation, Samples, Selection
from tests.core.hostile import mutated
from tests.core.seen import NOW, TIMING, V1, V2, identity, trying

many = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
SEEN = trying(Stage.RUNNING, 1)
FAMILIES: dict[str, dict[str, str]] = {
    "ai_agent_tasks_started_total": {},
    "ai_agent_tasks_total": {"outcome": "success"},
    "ai_agent_tasks_verified_total": {"result": "pass", "verifier": "postcondition"},
    "ai_agent_policy_violations_total": {"rule": "scope", "severity": "low"},
    "process_start_time_seconds": {},
}


def answer(values: list[list[Any]]) -> dict[str, Any]:
    """What Prometheus says of both versions, all families alike."""
    result: list[dict[str, Any]] = [
        {
            "metric": marks
            | {
                "__name__": family,
                "namespace": "shop",
                "agent": "triage",
                "version": version.version,
                "mode": "live",
                "pod": f"{identity(version).workload}-5d4f-1",
            },
            "values": values,
        }
        for family, marks in FAMILIES.items()
        for version in (V1, V2)
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


GOOD = answer([[NOW.timestamp() - age, str(100 - age)] for age in (20, 10, 1)])
NUMBERS = ["NaN", "+Inf", "-Inf", "1e308", "-5", "0", "", "1_000", "٣", "0x1F", "nan(1)", "1e-400", "9" * 400]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A real answer, changed; or something that is no answer at all."""
    match draw(st.sampled_from(["mutated", "cut", "bytes", "numbers", "warned", "nested"])):
        case "mutated":
            return json.dumps(draw(mutated(GOOD))).encode()
        case "cut":
            whole = json.dumps(GOOD).encode()
            return whole[: draw(st.integers(0, len(whole) - 1))]
        case "bytes":
            return draw(st.binary(max_size=200) | st.just(b"<!doctype html><html>sign in</html>"))
        case "numbers":
            times = st.sampled_from([NOW.timestamp(), 0, -1, 1e300, "soon", "NaN", None, True])
            pair = st.tuples(times, st.sampled_from(NUMBERS) | st.floats() | st.none()).map(list)
            return json.dumps(answer(draw(st.lists(pair, max_size=4)))).encode()
        case "warned":
            return json.dumps(
                GOOD | {"warnings": draw(st.sampled_from(["partial", ["a"], {"b": 1}]))}
            ).encode()
        case _:
            return b'{"status":"success","data":' + b"[" * 100_000


@many
@given(st.sampled_from([200, 200, 200, 204, 302, 400, 422, 500, 503]), bodies())
def test_an_answer_is_samples_or_a_reason(status: int, body: bytes) -> None:
    found = parse(status, body)
    if isinstance(found, Unreadable):
        assert found.reason
        return
    assert status == 200
    for series in found.series:
        assert all(math.isfinite(moment) and math.isfinite(value) for moment, value in series.points)


@many
@given(st.sampled_from([200, 200, 200, 204, 302, 400, 422, 500, 503]), bodies())
def test_an_answer_of_an_expression_is_a_number_for_each_moment_or_a_reason(status: int, body: bytes) -> None:
    asked = Evaluation("x", NOW.timestamp() - 10, NOW.timestamp(), 5.0)
    found = numbers(status, body, asked)
    if isinstance(found, Unreadable):
        assert found.reason
        return
    assert [one.at for one in found] == list(asked.moments)
    for one in found:
        assert one.found.reason if isinstance(one.found, NoNumber) else math.isfinite(one.found)


class Scripted:
    """`ports.Metrics` that gives one answer after the other, then the last for ever; of the past that one."""

    def __init__(self, answers: list[Samples | Unreadable]) -> None:
        self._answers = answers

    async def read(self, selection: Selection) -> Samples | Unreadable:
        if selection.every:
            return self._answers[-1]
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    async def evaluate(self, evaluation: Evaluation) -> Unreadable:
        raise AssertionError("no gate asks for it")


strange_series = st.builds(
    Series,
    st.fixed_dictionaries(
        {"__name__": st.sampled_from([*FAMILIES, "up", "ALERTS"])},
        optional={
            "pod": st.sampled_from(["", identity(V1).workload + "-1", identity(V2).workload + "-1"]),
            "version": st.sampled_from(["v1", "v2", ""]),
            "mode": st.sampled_from(["live", "shadow", "LIVE", ""]),
            "outcome": st.text(max_size=3),
            "result": st.sampled_from(["pass", "fail", ""]),
            "verifier": st.sampled_from(["postcondition", "nobody"]),
            "severity": st.sampled_from(["critical", "low", ""]),
            "instance": st.text(max_size=3),
        },
    ),
    st.lists(
        st.tuples(
            st.integers(-7300, 10).map(lambda age: NOW.timestamp() + age),
            st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 300).map(float),
        ),
        max_size=5,
    ).map(tuple),
)
"""Well-formed, but of nobody that behaves: counters fall, samples are out of order, labels are missing."""


async def _looked(answers: list[Samples | Unreadable]) -> EvidenceReport | Unreadable | None:
    evidence = Evidence(Scripted(answers), TIMING, NOW.timestamp)
    for _ in range(TRIES):  # what stable did before is not taken for unknown at once
        await evidence.look(SEEN.rollout)
    return evidence.report(SEEN.rollout)


@many
@given(
    st.lists(
        st.one_of(
            bodies().map(lambda body: parse(200, body)),
            st.lists(strange_series, max_size=6).map(lambda series: Samples(tuple(series))),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_evidence_copes_and_passes_nothing_without_data(answers: list[Samples | Unreadable]) -> None:
    counted = any(series.points for found in answers if isinstance(found, Samples) for series in found.series)
    report = asyncio.run(_looked(answers))
    assert report is not None
    if isinstance(report, Unreadable):
        assert report.reason
        return
    if not counted:
        assert all(gate.verdict is not Verdict.PASS for gate in report.gates if gate.judged)
        assert not report.reverts
