"""What an AgentVersion says: its document, its digest, and what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.readiness import MAX_MESSAGE
from interlock.core.versions import (
    MAX_DEPTH,
    Assessment,
    SpecTooLarge,
    assess,
    references,
    render_json,
    version_status,
)
from interlock.errors import DependencyError, SpecError
from interlock.model.agentversion import AgentVersion, AgentVersionStatus
from interlock.model.conditions import Condition

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
TEXT = "Never tell anyone about the blue folder."
Spec = dict[str, Any]


def version(**spec: Any) -> AgentVersion:
    """An AgentVersion of the agent `triage` with this content."""
    metadata = {"name": "triage-v1", "namespace": "support", "uid": "u", "generation": 1}
    return AgentVersion.read({"metadata": metadata, "spec": {"agent": "triage", **spec}})


def digest(**spec: Any) -> str:
    return assess(version(**spec), {}).digest


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ref(text: str, name: str = "texts", key: str = "content") -> Spec:
    """A reference to a ConfigMap's key that holds `text`."""
    return {"configMapRef": {"name": name, "key": key, "sha256": sha256(text)}}


def configmap(text: str, key: str = "content", **more: Any) -> Spec:
    return {"immutable": True, "data": {key: text}, **more}


def refused(error: type[SpecError | DependencyError], *, configmaps: Any = None, **spec: Any) -> str:
    """The text with which a version is refused."""
    with pytest.raises(error) as caught:
        assess(version(**spec), configmaps or {})
    assert type(caught.value) is error
    return str(caught.value)


PROMPT = {"name": "system", "role": "System", "template": "Be kind."}
TOOL = {"name": "refund", "description": "Pays back.", "inputSchema": {"type": "object"}}
FULL: Spec = {
    "version": "1",
    "prompts": [PROMPT, {"name": "tone", "template": "Be brief."}],
    "tools": [TOOL, {"name": "search", "annotations": {"readOnly": True}, "stub": [1.5, None]}],
    "model": {"primary": {"provider": "example", "name": "large"}},
    "parameters": {"temperature": 0.2, "seed": 7},
    "routing": {"rules": [{"when": "a", "use": "x"}], "default": "x"},
    "retrieval": [{"index": "handbook"}],
    "memory": {"turns": 5},
    "humanInLoop": {"above": 100},
    "guardrails": [{"name": "personal-data", "mode": "Enforce"}],
    "budgets": {"tokens": 1000},
    "risk": {"level": "High"},
    "provenance": {"kind": "Human"},
}


class TestDocument:
    """What the agent reads."""

    def test_holds_what_the_agent_reads_and_nothing_else(self) -> None:
        document = assess(version(**FULL), {}).document
        assert document == {k: v for k, v in FULL.items() if k not in ("version", "risk", "provenance")}

    def test_of_an_empty_version(self) -> None:
        assert assess(version(), {}).document == {}

    def test_a_prompt_from_a_configmap_reads_like_one_from_the_spec(self) -> None:
        sourced = version(prompts=[{"name": "system", "role": "System", "source": ref("Be kind.")}])
        inline = version(prompts=[PROMPT])
        assert assess(sourced, {"texts": configmap("Be kind.")}) == assess(inline, {})

    def test_tool_sets_follow_the_tools_in_order(self) -> None:
        one, two = json.dumps([{"name": "b"}, {"name": "a"}]), json.dumps([{"name": "c"}])
        whole = version(
            tools=[{"name": "z"}],
            toolSets=[{"name": "first", **ref(one)}, {"name": "second", **ref(two, key="more")}],
        )
        maps = {"texts": {"immutable": True, "data": {"content": one, "more": two}}}
        assert [tool["name"] for tool in assess(whole, maps).document["tools"]] == ["z", "b", "a", "c"]

    def test_a_large_agent_fits(self) -> None:
        """140 KB of prompts and 117 tools in 137 KB: real agents are this large."""
        prompt = "é" * 70_000
        tools = json.dumps([{"name": f"tool-{i}", "description": "x" * 1_100} for i in range(117)])
        whole = version(
            prompts=[{"name": "system", "source": ref(prompt, "prompt")}],
            toolSets=[{"name": "all", **ref(tools, "tools")}],
        )
        found = assess(whole, {"prompt": configmap(prompt), "tools": configmap(tools)})
        assert len(found.document["tools"]) == 117
        assert found.estimated_prompt_tokens > 60_000

    def test_is_rendered_as_canonical_json(self) -> None:
        whole = version(parameters={"b": 1.0, "a": "\u20ac", "A": 1e21, "\U0001f600": 0, "\ufb33": -0.0})
        expected = '{"parameters":{"A":1e+21,"a":"\u20ac","b":1,"\U0001f600":0,"\ufb33":0}}'
        assert render_json(assess(whole, {}).document) == expected


class TestDigest:
    """What identifies the content."""

    def test_is_that_of_the_rendered_text(self) -> None:
        found = assess(version(**FULL), {})
        assert found.digest == sha256(render_json(found.document))

    def test_never_changes_between_releases_of_interlock(self) -> None:
        """Quarantine and approvals are bound to it: were it to change, they would be lost."""
        assert digest(**FULL) == "64923b133b7996c711cef17d21259e12887a5209fa7f02a4cb64b38876178ca2"

    @pytest.mark.parametrize(
        "change",
        [
            {"version": "2"},
            {"parentRef": {"name": "triage-v0"}},
            {"change": {"hypothesis": "Reworded.", "lever": "Prompt"}},
            {"risk": {"level": "Low"}},
            {"provenance": {"kind": "Agent", "authors": ["optimizer"]}},
        ],
    )
    def test_does_not_see_what_the_agent_does_not_read(self, change: Spec) -> None:
        assert digest(**FULL | change) == digest(**FULL)

    @pytest.mark.parametrize("field", [k for k in FULL if k not in ("version", "risk", "provenance")])
    def test_sees_each_field_that_it_reads(self, field: str) -> None:
        assert digest(**{k: v for k, v in FULL.items() if k != field}) != digest(**FULL)

    @pytest.mark.parametrize("field", ["prompts", "tools"])
    def test_sees_order(self, field: str) -> None:
        assert digest(**FULL | {field: FULL[field][::-1]}) != digest(**FULL)

    def test_does_not_see_the_order_of_keys_or_the_spelling_of_numbers(self) -> None:
        assert digest(parameters={"a": 1, "b": 2.50}) == digest(parameters={"b": 2.5, "a": 1.0})

    def test_an_empty_list_is_an_absent_one(self) -> None:
        assert digest(prompts=[], tools=[], retrieval=[]) == digest()

    def test_the_largest_integers_are_exact(self) -> None:
        assert digest(parameters={"seed": 2**53 - 1}) != digest(parameters={"seed": 2**53 - 2})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=12,
)


class TestAnyContent:
    """Whatever stands in a version, it is judged and never a crash."""

    @given(st.dictionaries(st.text(st.characters()), JSON, max_size=4), JSON)
    def test_is_digested_or_refused(self, parameters: Spec, stub: Any) -> None:
        whole = version(parameters=parameters, tools=[{"name": "x", "stub": stub}])
        try:
            found = assess(whole, {})
        except SpecError as error:
            message = str(error)
            assert message.encode().startswith(b"`spec.")
        else:
            assert json.loads(render_json(found.document))["tools"][0]["name"] == "x"

    @given(
        st.dictionaries(st.text(), st.integers(-9, 9) | st.text() | st.booleans(), max_size=6), st.randoms()
    )
    def test_has_one_digest_however_it_was_written(self, parameters: Spec, random: Any) -> None:
        keys = list(parameters)
        random.shuffle(keys)
        again = json.loads(json.dumps({key: parameters[key] for key in keys}))
        assert digest(parameters=again) == digest(parameters=parameters)

    @given(st.text(min_size=1), st.text(min_size=1))
    def test_two_texts_have_two_digests(self, one: str, other: str) -> None:
        prompts = ([{"name": "p", "template": text}] for text in (one, other))
        first, second = (digest(prompts=prompt) for prompt in prompts)
        assert (first == second) == (one == other)


class TestRefusedSpecs:
    """The user must change the version; the text says which field and how."""

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"parameters": [1]}, "`spec.parameters` must be an object"),
            ({"memory": "none"}, "`spec.memory` must be an object"),
            ({"budgets": 3}, "`spec.budgets` must be an object"),
            ({"humanInLoop": True}, "`spec.humanInLoop` must be an object"),
            ({"retrieval": [{}, "handbook"]}, "`spec.retrieval[1]` must be an object"),
            ({"routing": {"rules": [[]]}}, "`spec.routing.rules[0]` must be an object"),
            ({"tools": [TOOL | {"inputSchema": 1}]}, "`spec.tools[0].inputSchema` must be an object"),
            ({"tools": [TOOL | {"outputSchema": "x"}]}, "`spec.tools[0].outputSchema` must be an object"),
            (
                {"prompts": [PROMPT, PROMPT]},
                "`spec.prompts` must give each item a `name` of its own, `system`",
            ),
            ({"tools": [TOOL, TOOL]}, "`spec.tools` must give each item a `name` of its own, `refund`"),
            ({"prompts": [{"name": "p"}]}, "`spec.prompts[0]` must have exactly one of `template`, `source`"),
            ({"prompts": [PROMPT | {"source": ref("x")}]}, "`spec.prompts[0]` must have exactly one of"),
            ({"parameters": {"p": math.nan}}, "`spec.parameters.p` must be a finite number"),
            ({"parameters": {"p": [0, -math.inf]}}, "`spec.parameters.p[1]` must be a finite number"),
            ({"parameters": {"seed": 2**53}}, "`spec.parameters.seed` must be between -9007199254740991 and"),
            ({"tools": [TOOL | {"stub": -(2**60)}]}, "`spec.tools[0].stub` must be between"),
            ({"parameters": {"p": "a\ud800"}}, "`spec.parameters.p` must be valid Unicode"),
            ({"parameters": {"\udfff": 1}}, "`spec.parameters` must be valid Unicode"),
            ({"parameters": {1: 2}}, "`spec.parameters` must have strings as keys"),
            ({"parameters": {"when": NOW}}, "`spec.parameters.when` must be JSON, it is of type datetime"),
        ],
    )
    def test_names_the_field_and_what_it_must_be(self, spec: Spec, words: str) -> None:
        assert words in refused(SpecError, **spec)

    @pytest.mark.parametrize("levels", [MAX_DEPTH, 900])
    def test_too_deep(self, levels: int) -> None:
        deep: Any = 1
        for _ in range(levels):
            deep = [deep]
        message = refused(SpecError, parameters={"p": deep})
        assert "must not be nested deeper than 64 levels" in message
        assert len(message) < 300

    def test_too_large_says_what_to_do(self) -> None:
        message = refused(
            SpecTooLarge,
            prompts=[{"name": f"p{i}", "template": "x" * 48_000} for i in range(3)],
            parameters={"a": 1},
        )
        assert "`spec` must be at most 64 KiB, it is 140." in message
        assert "`prompts` has 140." in message
        assert "`prompts[].source.configMapRef`" in message
        assert "`toolSets[].configMapRef`" in message

    def test_64_kib_are_not_too_large(self) -> None:
        frame = len('{"agent":"triage","parameters":{"p":""}}')
        assert digest(parameters={"p": "x" * (65_536 - frame)})
        refused(SpecTooLarge, parameters={"p": "x" * (65_537 - frame)})

    def test_size_is_counted_in_bytes(self) -> None:
        refused(SpecTooLarge, parameters={"p": "€" * 22_000})

    def test_a_document_that_no_configmap_could_hold(self) -> None:
        text = "x" * 922_000
        message = refused(
            SpecError,
            prompts=[{"name": "p", "source": ref(text)}],
            configmaps={"texts": configmap(text)},
        )
        assert "must be at most 900 KiB" in message

    def test_a_tool_in_the_spec_and_in_a_set(self) -> None:
        tools = json.dumps([TOOL])
        message = refused(
            SpecError,
            tools=[TOOL],
            toolSets=[{"name": "orders", **ref(tools)}],
            configmaps={"texts": configmap(tools)},
        )
        assert message == (
            "each tool must have one definition, `refund` is in `spec.tools` and in tool set `orders`"
        )

    def test_a_tool_in_two_sets(self) -> None:
        tools = json.dumps([TOOL])
        message = refused(
            SpecError,
            toolSets=[{"name": "orders", **ref(tools)}, {"name": "again", **ref(tools)}],
            configmaps={"texts": configmap(tools)},
        )
        assert "is in tool set `orders` and in tool set `again`" in message


class TestConfigMaps:
    """What a version refers to counts only when it is exactly what was pinned."""

    SOURCED: ClassVar[Spec] = {"prompts": [{"name": "system", "source": ref(TEXT)}]}

    def test_are_named_each_once(self) -> None:
        whole = version(
            prompts=[
                {"name": "a", "source": ref("x")},
                {"name": "b", "source": ref("x")},
                {"name": "c", "template": "inline"},
            ],
            toolSets=[{"name": "t", **ref("[]", "tools")}],
        )
        assert [(found.name, found.key) for found in references(whole)] == [
            ("texts", "content"),
            ("tools", "content"),
        ]

    @pytest.mark.parametrize(
        ("configmaps", "words"),
        [
            ({}, "ConfigMap `texts` (`spec.prompts[0].source.configMapRef`) must exist in this namespace"),
            ({"texts": None}, "must exist in this namespace"),
            ({"texts": {"data": {"content": TEXT}}}, "must have `immutable: true`"),
            ({"texts": configmap(TEXT, immutable=False)}, "must have `immutable: true`"),
            ({"texts": configmap(TEXT, immutable="true")}, "must have `immutable: true`"),
            ({"texts": {"immutable": True}}, "must have the key `content` in `data`"),
            ({"texts": {"immutable": True, "data": None}}, "must have the key `content` in `data`"),
            ({"texts": configmap(TEXT, key="other")}, "must have the key `content` in `data`"),
            (
                {"texts": configmap(TEXT + "\n")},
                f"`spec.prompts[0].source.configMapRef.sha256` gives, it has {sha256(TEXT + chr(10))}",
            ),
        ],
    )
    def test_a_prompt_that_is_not_there(self, configmaps: Any, words: str) -> None:
        message = refused(DependencyError, configmaps=configmaps, **self.SOURCED)
        assert words in message
        assert TEXT not in message

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{", "must be a JSON list of tools, it is not JSON"),
            ("", "it is not JSON"),
            ("[" * 100_000, "it is not JSON"),
            ("{}", "must be a JSON list of tools, it is another JSON value"),
            ("null", "it is another JSON value"),
            ('["refund"]', "`[0]` must be a valid dictionary"),
            ('[{"description": "x"}]', "`[0].name` must be given"),
            ('[{"name": "a"}, {"name": 7}]', "`[1].name` must be a valid string"),
            ('[{"name": "a b"}]', "`[0].name` must match pattern"),
            ('[{"name": "a", "title": "A"}]', "`[0].title` must not be given: there is no such field"),
            (
                '[{"name": "a", "annotations": {"readOnlyHint": true}}]',
                "`[0].annotations.readOnlyHint` must not be given",
            ),
            (
                '[{"name": "a", "shadow": "Mock"}]',
                "`[0].shadow` must be 'Allow', 'Stub', 'Record' or 'Deny'",
            ),
            ('[{"name": "a", "stub": NaN}]', "`[0].stub` must be a finite number"),
            ('[{"name": "a", "stub": "\\ud800"}]', "`[0].stub` must be valid Unicode"),
            ('[{"name": "a", "inputSchema": []}]', "`[0].inputSchema` must be an object"),
        ],
    )
    def test_a_tool_set_that_is_none(self, text: str, words: str) -> None:
        message = refused(
            DependencyError,
            toolSets=[{"name": "orders", **ref(text)}],
            configmaps={"texts": configmap(text)},
        )
        assert "key `content` of ConfigMap `texts` (`spec.toolSets[0].configMapRef`)" in message
        assert words in message

    @given(st.text(max_size=40))
    def test_any_text_is_a_tool_set_or_refused(self, text: str) -> None:
        whole = version(toolSets=[{"name": "orders", **ref(text)}])
        try:
            assess(whole, {"texts": configmap(text)})
        except DependencyError as error:
            assert "must be a JSON list of tools" in str(error)  # noqa: PT017  it may also be one


class TestStatus:
    """What the operator writes about a version."""

    GOOD = assess(version(**FULL), {})

    def conditions(self, status: AgentVersionStatus) -> dict[str, Condition]:
        return {condition.type: condition for condition in status.conditions}

    def test_of_a_complete_version(self) -> None:
        status = version_status(version(**FULL), self.GOOD, None, NOW)
        assert status.observed_generation == 1
        assert status.content_digest == self.GOOD.digest
        assert status.estimated_prompt_tokens == self.GOOD.estimated_prompt_tokens
        found = self.conditions(status)
        assert set(found) == {"Ready"}
        assert (found["Ready"].status, found["Ready"].reason) == ("True", "Valid")
        assert (found["Ready"].observed_generation, found["Ready"].last_transition_time) == (1, NOW)

    @pytest.mark.parametrize(
        ("outcome", "reason"),
        [
            (SpecError("`spec.x` must be y"), "InvalidSpec"),
            (SpecTooLarge("`spec` must be at most 64 KiB"), "SpecTooLarge"),
            (DependencyError("ConfigMap `a` must exist"), "DependencyNotReady"),
        ],
    )
    def test_of_one_that_cannot_be_followed(self, outcome: SpecError | DependencyError, reason: str) -> None:
        found = self.conditions(version_status(version(), outcome, None, NOW))
        assert (found["Ready"].status, found["Stalled"].status) == ("False", "True")
        assert {condition.reason for condition in found.values()} == {reason}
        assert {condition.message for condition in found.values()} == {str(outcome)}

    def test_saying_the_same_again_changes_nothing(self) -> None:
        for outcome in (self.GOOD, SpecError("x"), DependencyError("y")):
            once = version_status(version(), outcome, None, NOW)
            assert version_status(version(), outcome, once, LATER) == once

    def test_a_time_moves_only_with_its_status(self) -> None:
        missing = version_status(version(), DependencyError("no a"), None, NOW)
        reworded = version_status(version(), DependencyError("no b"), missing, LATER)
        assert {c.last_transition_time for c in reworded.conditions} == {NOW}
        assert {c.message for c in reworded.conditions} == {"no b"}
        good = version_status(version(), self.GOOD, reworded, LATER)
        assert self.conditions(good)["Ready"].last_transition_time == LATER
        assert "Stalled" not in self.conditions(good)

    def test_a_digest_outlives_the_configmap(self) -> None:
        """What was pinned is still what was pinned."""
        good = version_status(version(), self.GOOD, None, NOW)
        gone = version_status(version(), DependencyError("no a"), good, LATER)
        assert gone.content_digest == self.GOOD.digest

    def test_a_long_text_is_cut(self) -> None:
        status = version_status(version(), SpecError("x" * 9_000), None, NOW)
        assert {len(c.message) for c in status.conditions} == {MAX_MESSAGE}

    def test_can_be_written_and_read(self) -> None:
        status = version_status(version(), SpecError("x"), None, NOW)
        assert AgentVersionStatus.model_validate(status.to_wire()) == status


def test_tokens_are_four_bytes_each() -> None:
    def tokens(**spec: Any) -> int:
        return assess(version(**spec), {}).estimated_prompt_tokens

    assert tokens() == 0
    assert tokens(prompts=[{"name": "p", "template": "x" * 400}]) == 100
    assert tokens(prompts=[{"name": "p", "template": "€" * 400}]) == 300
    assert tokens(tools=[{"name": "a"}]) == math.ceil(len('{"name":"a"}') / 4)
    assert tokens(tools=[{"name": "a", "stub": "x" * 999}]) == tokens(tools=[{"name": "a"}])


def test_an_assessment_is_data() -> None:
    assert assess(version(), {}) == Assessment({}, sha256("{}"), 0)
