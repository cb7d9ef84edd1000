"""Every bad field is refused by the API server, and the refusal names the field and says what it must be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.cluster import Cluster
from tests.delivery.api import Api
from tests.delivery.objects import (
    ALERT,
    CANARY,
    COMPARE,
    CONTROLLED,
    FULL,
    HALF,
    LIMIT,
    MEAN,
    SHADOW,
    TAIL,
    VALUE,
    agent_version,
    at,
    rollout,
)

STEPS = "spec.strategy.steps"
STRATEGY = "spec.strategy"
ANALYSIS = "spec.analysis"
GATES = "spec.analysis.gates"
GATEWAY = "spec.traffic.gatewayAPI"

BAD_ROLLOUTS: list[tuple[str, Any, str, str]] = [
    # path to spoil, value, field that the refusal names, words of the refusal
    ("metadata.name", "a" * 41, "metadata.name", "at most 40 characters"),
    ("metadata.name", "1st", "metadata.name", "begins with a letter"),
    ("metadata.name", "a.b", "metadata.name", "lower-case letters, digits and `-`"),
    ("spec.agent", ..., "spec.agent", "Required value"),
    ("spec.agent", 7, "spec.agent", "must be of type string"),
    ("spec.agent", "a" * 64, "spec.agent", "Too long"),
    ("spec.agent", "Triage", "spec.agent", "must consist of lower-case letters"),
    ("spec.agent", "trïage", "spec.agent", "must consist of lower-case letters"),
    ("spec.agent", "triage\u0000", "spec.agent", "must consist of lower-case letters"),
    ("spec.agent", "", "spec.agent", "at least 1 chars long"),
    ("spec.versionRef", ..., "spec.versionRef", "Required value"),
    ("spec.versionRef.name", "v1.2", "spec.versionRef.name", "must consist of lower-case letters"),
    ("spec.versionRef.name", None, "spec.versionRef.name", "Required value"),
    ("spec.replicas", 0, "spec.replicas", "greater than or equal to 1"),
    ("spec.replicas", 10_001, "spec.replicas", "less than or equal to 10000"),
    ("spec.replicas", "3", "spec.replicas", "must be of type integer"),
    ("spec.replicas", 1.5, "spec.replicas", "must be of type integer"),
    ("spec.workload.templateRef.kind", "StatefulSet", "spec.workload.templateRef.kind", '"Deployment"'),
    ("spec.workload.templateRef", ..., "spec.workload.templateRef", "Required value"),
    ("spec.workload.image", "x", "spec.workload.image", "unknown field"),
    (f"{GATEWAY}.port", 0, f"{GATEWAY}.port", "greater than or equal to 1"),
    (f"{GATEWAY}.port", 65_536, f"{GATEWAY}.port", "less than or equal to 65535"),
    (f"{GATEWAY}.parentRefs", [], f"{GATEWAY}.parentRefs", "at least 1 items"),
    (f"{GATEWAY}.hostnames", [], f"{GATEWAY}.hostnames", "at least 1 items"),
    (f"{GATEWAY}.hostnames.0", "a.example.com:80", f"{GATEWAY}.hostnames[0]", "must be a host name"),
    (f"{GATEWAY}.matches.0.path", "triage", f"{GATEWAY}.matches[0].path", "must begin with `/`"),
    (f"{GATEWAY}.matches.0.path", "/a?b", f"{GATEWAY}.matches[0].path", "only characters of a URL path"),
    (f"{GATEWAY}.matches.0.path", "/a//b", f"{GATEWAY}.matches[0].path", "must not contain `//`"),
    (f"{GATEWAY}.matches.0.path", "/a/..", f"{GATEWAY}.matches[0].path", "`/../`"),
    (STEPS, [], STEPS, "at least 1 items"),
    (STEPS, {}, STEPS, "must be of type array"),
    (STEPS, [SHADOW, CANARY], STEPS, "must have exactly one `full` step, as the last"),
    (STEPS, [FULL, CANARY], STEPS, "must have exactly one `full` step, as the last"),
    (STEPS, [FULL, FULL | {"name": "again"}], STEPS, "must have exactly one `full` step, as the last"),
    (STEPS, [CANARY, SHADOW, FULL], STEPS, "must have every `shadow` step before the first `canary` step"),
    (STEPS, [HALF, CANARY, FULL], STEPS, "must raise `canary.percent` from step to step"),
    (STEPS, [CANARY, CANARY | {"name": "again"}, FULL], STEPS, "must raise `canary.percent`"),
    (STEPS, [CANARY, FULL | {"name": "canary"}], STEPS, "must give each step a `name` of its own"),
    (STEPS, [CANARY | SHADOW, FULL], f"{STEPS}[0]", "must have exactly one of `shadow`, `canary`, `full`"),
    (STEPS, [{"name": "none"}, FULL], f"{STEPS}[0]", "must have exactly one of `shadow`, `canary`, `full`"),
    (STEPS, [CANARY | {"name": f"c{i}"} for i in range(17)], STEPS, "at most 16 items"),
    (f"{STEPS}.0.name", ..., f"{STEPS}[0].name", "Required value"),
    (f"{STEPS}.0.name", "Shadow step", f"{STEPS}[0].name", "must consist of lower-case letters"),
    (f"{STEPS}.0.shadow.percent", 0, f"{STEPS}[0].shadow.percent", "greater than or equal to 1"),
    (f"{STEPS}.1.canary.percent", 100, f"{STEPS}[1].canary.percent", "less than or equal to 99"),
    (f"{STEPS}.1.canary.percent", "5%", f"{STEPS}[1].canary.percent", "must be of type integer"),
    (f"{STEPS}.1.minTasks", 0, f"{STEPS}[1].minTasks", "greater than or equal to 1"),
    (f"{STEPS}.1.minDurationSeconds", -1, f"{STEPS}[1].minDurationSeconds", "greater than or equal to 0"),
    (f"{STEPS}.1.minDurationSeconds", "10m", f"{STEPS}[1].minDurationSeconds", "must be of type integer"),
    (f"{STEPS}.3.full.holdoutPercent", 51, f"{STEPS}[3].full.holdoutPercent", "less than or equal to 50"),
    (f"{STEPS}.3.full.soakSeconds", -1, f"{STEPS}[3].full.soakSeconds", "greater than or equal to 0"),
    (GATES, [COMPARE, COMPARE], f"{GATES}[1]", "Duplicate value"),
    (GATES, [COMPARE | LIMIT], f"{GATES}[0]", "must have exactly one of `compare`, `tail`"),
    (GATES, [{"name": "a", "metric": "b"}], f"{GATES}[0]", "must have exactly one of `compare`"),
    (f"{GATES}.0.metric", ..., f"{GATES}[0]", "must have a `metric`, unless it is an `alert` gate"),
    (f"{GATES}.0.metric", "rate{x}", f"{GATES}[0].metric", "must consist of lower-case letters"),
    (f"{GATES}.0.compare.worseByPoints", "-1", f"{GATES}[0].compare.worseByPoints", 'from "0" to "100"'),
    (f"{GATES}.0.compare.worseByPoints", 1, f"{GATES}[0].compare.worseByPoints", "must be of type string"),
    (f"{GATES}.1.limit.maxPercent", "0,5", f"{GATES}[1].limit.maxPercent", "must be a decimal string"),
    (f"{GATES}.1.limit.maxPercent", "5%", f"{GATES}[1].limit.maxPercent", "must be a decimal string"),
    (f"{GATES}.1.limit.maxPercent", "100.1", f"{GATES}[1].limit.maxPercent", 'from "0" to "100"'),
    (f"{GATES}.1.limit.maxPercent", "1e1", f"{GATES}[1].limit.maxPercent", "must be a decimal string"),
    (f"{GATES}.1.limit.maxPercent", "0.00001", f"{GATES}[1].limit.maxPercent", "at most four decimals"),
    (f"{GATES}.1.limit.maxPercent", "٥", f"{GATES}[1].limit.maxPercent", "must be a decimal string"),
    (f"{GATES}.1.limit.maxPercent", "5\n", f"{GATES}[1].limit.maxPercent", "must be a decimal string"),
    ("spec.analysis.falseRevertPercent", "five", "spec.analysis.falseRevertPercent", "a decimal string"),
    ("spec.analysis.falseRevertPercent", "0.00", "spec.analysis.falseRevertPercent", "must be above 0"),
    ("spec.analysis.falseRevertPercent", "100.0", "spec.analysis.falseRevertPercent", "and below 100"),
    ("spec.analysis.warmupSeconds", 86_401, "spec.analysis.warmupSeconds", "less than or equal to 86400"),
    (f"{ANALYSIS}.noData.holdAfterSeconds", 0, f"{ANALYSIS}.noData.holdAfterSeconds", "equal to 1"),
    (f"{ANALYSIS}.noData.holdAfterSeconds", 86_401, f"{ANALYSIS}.noData.holdAfterSeconds", "equal to 86400"),
    (f"{ANALYSIS}.noData.holdAfterSeconds", "2m", f"{ANALYSIS}.noData.holdAfterSeconds", "type integer"),
    (f"{ANALYSIS}.noData.holdAfterSeconds", 1801, f"{ANALYSIS}.noData", "not above `revertAfterSeconds`"),
    (f"{ANALYSIS}.noData.revertAfterSeconds", 119, f"{ANALYSIS}.noData", "not above `revertAfterSeconds`"),
    (f"{ANALYSIS}.noData.revertAfterSeconds", 604_801, f"{ANALYSIS}.noData.revertAfterSeconds", "to 604800"),
    (f"{ANALYSIS}.noData.after", 5, f"{ANALYSIS}.noData.after", "unknown field"),
    (f"{GATES}.0.advance", "Better", f"{GATES}[0].advance", "supported values"),
    (
        GATES,
        [LIMIT | {"advance": "Superior"}],
        f"{GATES}[0]",
        "must have an `advance` that its kind can show",
    ),
    (GATES, [ALERT | {"advance": "Certified"}], f"{GATES}[0]", "must have an `advance` that its kind"),
    (GATES, [VALUE | {"advance": "Certified"}], f"{GATES}[0]", "must have an `advance` that its kind"),
    (GATES, [VALUE | {"value": {}}], f"{GATES}[0].value", "must have exactly one of `max`, `min`"),
    (
        GATES,
        [VALUE | {"value": {"max": "1", "min": "0"}}],
        f"{GATES}[0].value",
        "must have exactly one of `max`",
    ),
    (GATES, [VALUE | {"value": {"max": "1e3"}}], f"{GATES}[0].value.max", "must be a decimal string"),
    (GATES, [VALUE | {"value": {"max": 3}}], f"{GATES}[0].value.max", "must be of type string"),
    (GATES, [VALUE | {"during": []}], f"{GATES}[0].during", "at least 1 items"),
    (GATES, [VALUE | {"during": ["Always"]}], f"{GATES}[0].during[0]", "supported values"),
    (GATES, [VALUE | {"during": ["Full", "Full"]}], f"{GATES}[0].during[1]", "Duplicate value"),
    (GATES, [MEAN | TAIL], f"{GATES}[0]", "must have exactly one of `compare`, `tail`, `mean`"),
    (GATES, [MEAN | {"mean": {}}], f"{GATES}[0].mean.worseByPercent", "Required value"),
    (GATES, [MEAN | {"mean": {"worseByPercent": "-1"}}], f"{GATES}[0].mean.worseByPercent", "a decimal"),
    (GATES, [MEAN | {"mean": {"worseByPercent": 10}}], f"{GATES}[0].mean.worseByPercent", "type string"),
    (GATES, [COMPARE | TAIL], f"{GATES}[0]", "must have exactly one of `compare`, `tail`"),
    (GATES, [TAIL | {"tail": {"aboveSeconds": "30"}}], f"{GATES}[0].tail.worseByPoints", "Required value"),
    (GATES, [TAIL | {"tail": {"worseByPoints": "1"}}], f"{GATES}[0].tail.aboveSeconds", "Required value"),
    *(
        (
            GATES,
            [TAIL | {"tail": {"aboveSeconds": seconds, "worseByPoints": "1"}}],
            f"{GATES}[0].tail.aboveSeconds",
            words,
        )
        for seconds, words in (
            ("0", "must be above 0"),
            ("0.0000", "must be above 0"),
            ("-1", "must be a decimal string"),
            ("30s", "must be a decimal string"),
            ("1e3", "must be a decimal string"),
            ("+Inf", "must be a decimal string"),
            ("30\n", "must be a decimal string"),
            (30, "must be of type string"),
        )
    ),
    (f"{GATES}.0.safety", "yes", f"{GATES}[0].safety", "must be of type boolean"),
    (f"{GATES}.0.weight", 0, f"{GATES}[0].weight", "greater than or equal to 1"),
    (f"{GATES}.0.weight", 1001, f"{GATES}[0].weight", "less than or equal to 1000"),
    (f"{GATES}.0.weight", "0.5", f"{GATES}[0].weight", "must be of type integer"),
    (GATES, [ALERT | {"metric": "pages"}], f"{GATES}[0]", "an `alert` gate, which has none"),
    (GATES, [ALERT | {"limit": {"maxPercent": "1"}}], f"{GATES}[0]", "must have exactly one of `compare`"),
    (GATES, [ALERT | {"alert": {}}], f"{GATES}[0].alert.matchLabels", "Required value"),
    (GATES, [ALERT | {"alert": {"matchLabels": {}}}], f"{GATES}[0].alert.matchLabels", "at least 1"),
    *(
        (
            GATES,
            [ALERT | {"alert": {"matchLabels": {"severity": "page", name: "x"}}}],
            f"{GATES}[0].alert.matchLabels",
            "must have as keys label names of Prometheus",
        )
        for name in ("interlock-action", "1st", "", "ä", "a b", "severity\n", '"}')
    ),
    *(
        (
            GATES,
            [ALERT | {"alert": {"matchLabels": {name: "x"}}}],
            f"{GATES}[0].alert.matchLabels",
            "must not name `namespace`, `agent`, `alertstate` or `__name__`: they are always asked for",
        )
        for name in ("namespace", "agent", "alertstate", "__name__")
    ),
    (
        GATES,
        [ALERT | {"alert": {"matchLabels": {f"l{number}": "x" for number in range(9)}}}],
        f"{GATES}[0].alert.matchLabels",
        "at most 8",
    ),
    (
        GATES,
        [ALERT | {"alert": {"matchLabels": {"severity": ""}}}],
        f"{GATES}[0].alert.matchLabels.severity",
        "at least 1 chars long",
    ),
    (
        GATES,
        [ALERT | {"alert": {"matchLabels": {"severity": "x" * 257}}}],
        f"{GATES}[0].alert.matchLabels.severity",
        "Too long",
    ),
    (f"{STEPS}.0.shadow.control", "yes", f"{STEPS}[0].shadow.control", "must be of type boolean"),
    *(
        (
            GATES,
            [gate | {"during": ["Full", "Shadow"]}, LIMIT],
            "spec",
            "must have `shadow.control: true` in each",
        )
        for gate in (COMPARE, TAIL, MEAN)
    ),
    (f"{STEPS}.0.shadow.replicas", 0, f"{STEPS}[0].shadow.replicas", "greater than or equal to 1"),
    (f"{STEPS}.0.shadow.replicas", 10_001, f"{STEPS}[0].shadow.replicas", "less than or equal to 10000"),
    (f"{STEPS}.1.canary.replicas", 0, f"{STEPS}[1].canary.replicas", "greater than or equal to 1"),
    (f"{STEPS}.1.canary.replicas", "50%", f"{STEPS}[1].canary.replicas", "must be of type integer"),
    (f"{STEPS}.3.full.replicas", 1, f"{STEPS}[3].full.replicas", "unknown field"),
    (f"{STRATEGY}.stepDeadlineSeconds", 0, f"{STRATEGY}.stepDeadlineSeconds", "equal to 1"),
    (f"{STRATEGY}.stepDeadlineSeconds", 31_536_001, f"{STRATEGY}.stepDeadlineSeconds", "equal to 31536000"),
    (f"{STRATEGY}.stepDeadlineSeconds", "2h", f"{STRATEGY}.stepDeadlineSeconds", "must be of type integer"),
    *(
        (STRATEGY, {"steps": steps, "stepDeadlineSeconds": 60}, STRATEGY, "must have a `stepDeadlineSeconds`")
        for steps in (
            [CANARY | {"minDurationSeconds": 60}, FULL],
            [CANARY, {"name": "full", "full": {"soakSeconds": 60}}],
            [CANARY, FULL | {"minDurationSeconds": 61}],
        )
    ),
    (f"{STRATEGY}.onDeadline", "Promote", f"{STRATEGY}.onDeadline", '"Hold", "Revert"'),
    ("spec.onFirstVersionFailure", "Delete", "spec.onFirstVersionFailure", '"KeepServing", "CloseRoute"'),
    ("spec.historyLimit", -1, "spec.historyLimit", "greater than or equal to 0"),
    ("spec.historyLimit", 65, "spec.historyLimit", "less than or equal to 64"),
    ("spec.historyLimit", "5", "spec.historyLimit", "must be of type integer"),
    ("spec.paused", "yes", "spec.paused", "must be of type boolean"),
    ("spec.onRevert.inFlight", "Kill", "spec.onRevert.inFlight", '"Drain"'),
    ("spec.onRevert.drainDeadlineSeconds", -1, "spec.onRevert.drainDeadlineSeconds", "equal to 0"),
    ("spec.stragety", {}, "spec.stragety", "unknown field"),
]

LONG = "x" * 65_537
REF = {"name": "texts", "key": "system.md", "sha256": "0" * 64}
BAD_VERSIONS: list[tuple[str, Any, str, str]] = [
    ("metadata.name", "a" * 64, "metadata.name", "at most 63 characters"),
    ("metadata.name", "9lives", "metadata.name", "begins with a letter"),
    ("spec.agent", ..., "spec.agent", "Required value"),
    ("spec.agent", "-", "spec.agent", "must consist of lower-case letters"),
    ("spec.version", "x" * 64, "spec.version", "Too long"),
    ("spec.version", 14, "spec.version", "must be of type string"),
    ("spec.parentRef", {"name": "V1"}, "spec.parentRef.name", "must consist of lower-case letters"),
    ("spec.change", {"lever": "Luck"}, "spec.change.lever", '"Prompt"'),
    ("spec.change", {"issueURL": "ftp://x"}, "spec.change.issueURL", "http:// or https://"),
    (
        "spec.change",
        {"expected": [{"metric": "cost", "direction": "Sideways"}]},
        "spec.change.expected[0].direction",
        '"Increase"',
    ),
    (
        "spec.change",
        {"expected": [{"metric": "cost", "direction": "Decrease", "byPercent": "lots"}]},
        "spec.change.expected[0].byPercent",
        "must be a decimal string",
    ),
    ("spec.prompts.1.name", "system", "spec.prompts", "must give each prompt a `name` of its own"),
    ("spec.prompts.0.template", ..., "spec.prompts[0]", "must have exactly one of `template`, `source`"),
    ("spec.prompts.0.source", {"configMapRef": REF}, "spec.prompts[0]", "must have exactly one of"),
    ("spec.prompts.0.template", LONG, "spec.prompts[0]", "name it in `source.configMapRef`"),
    ("spec.prompts.0.role", "system", "spec.prompts[0].role", '"System"'),
    ("spec.prompts.0.name", "läuft", "spec.prompts[0].name", "must consist of letters, digits"),
    ("spec.tools.1.name", "search", "spec.tools", "must give each tool a `name` of its own"),
    ("spec.tools.0.name", "look up", "spec.tools[0].name", "must consist of letters, digits"),
    ("spec.tools.0.shadow", "Mock", "spec.tools[0].shadow", '"Stub"'),
    ("spec.tools.0.maxCallsPerTask", -1, "spec.tools[0].maxCallsPerTask", "greater than or equal to 0"),
    ("spec.tools.0.annotations", {"readOnly": "yes"}, "spec.tools[0].annotations.readOnly", "boolean"),
    ("spec.tools.0.source", {"server": "s", "sha256": "00"}, "spec.tools[0].source.sha256", "64 lower-case"),
    ("spec.toolSets", [{"name": "a"}], "spec.toolSets[0].configMapRef", "Required value"),
    (
        "spec.toolSets",
        [{"name": "a", "configMapRef": REF | {"sha256": "A" * 64}}],
        "spec.toolSets[0].configMapRef.sha256",
        "must be 64 lower-case hex digits",
    ),
    (
        "spec.toolSets",
        [{"name": "a", "configMapRef": REF | {"key": "a/b"}}],
        "spec.toolSets[0].configMapRef.key",
        "must consist of letters, digits",
    ),
    ("spec.model", {}, "spec.model.primary", "Required value"),
    ("spec.model.primary.provider", ..., "spec.model.primary.provider", "Required value"),
    ("spec.model.fallback", [{"provider": "p", "name": "n"}] * 9, "spec.model.fallback", "at most 8 items"),
    ("spec.parameters", {f"k{i}": i for i in range(257)}, "spec.parameters", "at most 256"),
    ("spec.retrieval", {}, "spec.retrieval", "must be of type array"),
    ("spec.guardrails.1.name", "personal-data", "spec.guardrails", "must give each guardrail a `name`"),
    ("spec.guardrails.0.digest", "md5:0", "spec.guardrails[0].digest", "must be a SHA-256 digest"),
    ("spec.guardrails.0.mode", "Maybe", "spec.guardrails[0].mode", '"Enforce"'),
    ("spec.risk", {"level": "Extreme"}, "spec.risk.level", '"Critical"'),
    ("spec.provenance", {"kind": "Robot"}, "spec.provenance.kind", '"Human"'),
    ("spec.promts", [], "spec.promts", "unknown field"),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), BAD_ROLLOUTS)
def test_a_bad_rollout_is_refused(anywhere: Api, path: str, value: Any, field: str, words: str) -> None:
    _refused(anywhere, at(rollout(), path, value), field, words)


@pytest.mark.parametrize("gate", [COMPARE, TAIL, MEAN], ids=lambda gate: gate["name"])
def test_a_shadow_may_be_compared_where_every_one_has_a_control(anywhere: Api, gate: dict[str, Any]) -> None:
    compared = at(rollout(), GATES, [gate | {"during": ["Shadow", "Full"]}])
    both = at(compared, STEPS, [CONTROLLED, CONTROLLED | {"name": "again"}, FULL])
    assert anywhere.create(both, dry_run=True).ok
    one = at(compared, STEPS, [CONTROLLED, SHADOW | {"name": "alone"}, FULL])
    _refused(anywhere, one, "spec", "must have `shadow.control: true` in each `shadow` step")
    none = at(compared, STEPS, [CANARY, FULL])
    assert anywhere.create(none, dry_run=True).ok


@pytest.mark.parametrize(("path", "value", "field", "words"), BAD_VERSIONS)
def test_a_bad_agent_version_is_refused(anywhere: Api, path: str, value: Any, field: str, words: str) -> None:
    _refused(anywhere, at(agent_version(), path, value), field, words)


def _refused(anywhere: Api, manifest: dict[str, Any], field: str, words: str) -> None:
    answer = anywhere.create(manifest, dry_run=True)
    assert not answer.ok
    assert field in answer.message
    assert words in answer.message
    assert len(answer.message) < 2_000  # it does not repeat a whole prompt


@pytest.mark.parametrize("percent", ["0", "100", "0.5", "99.9999", "100.0000", "07"])
def test_good_percent_strings(anywhere: Api, percent: str) -> None:
    assert anywhere.create(at(rollout(), f"{GATES}.1.limit.maxPercent", percent), dry_run=True).ok


def test_the_longest_names(anywhere: Api) -> None:
    longest = at(rollout("r" * 40), "spec.versionRef.name", "v" * 63)
    assert anywhere.create(at(longest, "spec.agent", "a" * 63), dry_run=True).ok
    assert anywhere.create(agent_version("v" * 63), dry_run=True).ok


def test_half_a_surrogate_pair_does_not_get_in(anywhere: Api) -> None:
    """The API server puts U+FFFD in its place, so it cannot reach the digest."""
    created = anywhere.create(at(agent_version(), "spec.prompts.0.template", "a\ud800b"), dry_run=True)
    assert not created.ok or created.body["spec"]["prompts"][0]["template"] == "a\ufffdb"


def test_a_prompt_of_140_kb_is_refused_with_what_to_do(control_plane: Cluster) -> None:
    """By client-side apply, as most people do it."""
    large = at(agent_version(), "spec.prompts.0.template", "x" * 140_000)
    tried = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(large), check=False)
    assert tried.returncode == 1
    assert "put a larger text into a ConfigMap with `immutable: true`" in tried.stderr
    assert len(tried.stderr) < 1_000


def test_140_kb_of_prompts_in_a_configmap_work(control_plane: Cluster, namespace: str) -> None:
    content = {"a.md": "x" * 70_000, "b.md": "y" * 70_000, "tools.json": "z" * 100_000}
    metadata = {"name": "texts", "namespace": namespace}
    texts = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": content,
    }
    control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(texts))
