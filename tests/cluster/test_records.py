"""Stories 20, 31 and 32b: content that was changed or is large, and a record that takes no writes."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest

from interlock.core import labels
from interlock.model.release import release_name
from tests.cluster import objects
from tests.cluster.api import INTERLOCK, Manifest, core, grouped
from tests.cluster.chorus import together
from tests.cluster.landscape import Landscape
from tests.cluster.objects import CANARY_FIRST, QUICK
from tests.cluster.seen import stable_is, stalled
from tests.cluster.story import Story, clock_runs, condition, healthy, measured, phase
from tests.cluster.waiting import until

CRDS = grouped("apiextensions.k8s.io/v1", "", "customresourcedefinitions")


# ------------------------------------------------------------------ 20
@contextlib.asynccontextmanager
async def changeable_content(landscape: Landscape) -> AsyncIterator[None]:
    """An admin takes the rule that a spec is immutable out of the CRD, and puts it back afterwards."""
    path = f"{CRDS}/agentversions.interlock.dev"
    original = await landscape.api.get(path)
    assert original is not None
    changed = copy.deepcopy(original)
    spec = changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rules = spec["x-kubernetes-validations"]
    spec["x-kubernetes-validations"] = [rule for rule in rules if "oldSelf" not in rule["rule"]]
    assert len(rules) > len(spec["x-kubernetes-validations"])
    await landscape.api.put(path, changed)
    try:
        yield
    finally:
        await landscape.api.patch(path, {"spec": original["spec"]})


async def overwrite(story: Story, version: str, **spec: Any) -> None:
    """As soon as the API server follows its new rules."""
    path = grouped(INTERLOCK, story.namespace, "agentversions", version)

    async def taken() -> bool:
        try:
            await story.land.api.patch(path, {"spec": spec})
        except aiohttp.ClientResponseError as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            return False
        return True

    await until(taken, 30, f"the content of {version} to be changed", pause=0.3)


async def digest(story: Story, version: str) -> str:
    """The digest of a version's content as it is now."""
    path = "jsonpath={.status.contentDigest}"
    return await story.kubectl("get", "agentversion", version, "-o", path)


async def test_20_content_that_an_admin_changes_is_taken_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    tested = await digest(story, "v2")
    patch = json.dumps({"spec": {"parameters": {"temperature": 2}}})
    refused = await story.refused("patch", "agentversion", "v2", "--type=merge", "-p", patch)
    assert "spec: Invalid value: must not be changed: create a new object instead" in refused
    async with changeable_content(story.land):
        await overwrite(story, "v2", parameters={"temperature": 2})
        found = await story.until(phase("Reverted"))
    assert condition(found, "ImmutableIntact")[:2] == ("False", "ContentChanged")
    assert found.status.attempt is not None
    assert "AgentVersion v2 now has digest" in found.status.attempt.message
    before, after = (one.digest for one in found.status.quarantine)
    assert before == tested

    async def is_what_came_instead() -> bool:
        return await digest(story, "v2") == after

    await until(is_what_came_instead, 10, "the changed content to be what else is in quarantine")
    await story.recorded(2, "AttemptStarted", "StepStarted", "ContentChanged", "ContentChanged")
    await story.only_serves("v1")


@pytest.mark.parametrize("role", ["candidate", "stable"])
async def test_29_what_somebody_sets_in_pods_is_taken_away_again(story: Story, role: str) -> None:
    """With kubectl, as people do it: a variable, a command and a container; a restart and a note stay."""
    await story.first_version(strategy={"steps": [objects.HELD, objects.FULL]})
    await story.release("v2")
    await story.until(clock_runs("canary"))
    name = await (story.candidate() if role == "candidate" else story.stable())
    made = await pod_spec(story, name)
    await story.kubectl("rollout", "restart", f"deployment/{name}")
    await story.kubectl("annotate", f"deployment/{name}", "example.com/note=mine")
    restarted = await pod_notes(story, name)
    assert "kubectl.kubernetes.io/restartedAt" in restarted

    await story.kubectl("set", "env", f"deployment/{name}", "DEBUG=a-secret")
    await until(partial(is_as, story, name, made), 10, "the variable to be gone")
    patch = {"containers": [{"name": "agent", "command": ["sh"]}, {"name": "spy", "image": "spy:1"}]}
    wanted = json.dumps({"spec": {"template": {"spec": patch}}})
    await story.kubectl("patch", "deployment", name, "-p", wanted)
    await until(partial(is_as, story, name, made), 10, "command and container to be gone")

    assert await pod_notes(story, name) == restarted, "nobody's restart is undone, or asked for again"
    await story.until(lambda found: condition(found, "ImmutableIntact")[0] == "True")
    notes = [e["note"] for e in await story.all("Event") if e["reason"] == "ContentPutBack"]
    field = "spec.template.spec.containers[agent]"
    assert any(
        note.startswith(f"kubectl-set has set {field}.env[DEBUG] of Deployment {name}") for note in notes
    )
    assert any(f"kubectl-patch has set {field}.command and 1 more field" in note for note in notes), notes
    assert "a-secret" not in json.dumps([notes, await story.manifest()])
    assert phase("Canary")(await story.rollout())
    before = await deployment(story, name)
    await story.holds(phase("Canary"), 2)
    assert (await deployment(story, name))["metadata"]["generation"] == before["metadata"]["generation"]


async def test_29_a_controller_that_sets_it_again_and_again_is_met_ever_more_seldom(story: Story) -> None:
    await story.first_version()
    name = await story.stable()
    for times in (1, 2, 3):
        await story.kubectl("set", "env", f"deployment/{name}", "DEBUG=a-secret")
        await until(partial(was_put_back, story, name, times), 20, f"the variable to be gone, {times} times")
    before = (await deployment(story, name))["metadata"]["generation"]
    await story.kubectl("set", "env", f"deployment/{name}", "DEBUG=a-secret")
    found = await story.until(lambda found: condition(found, "ImmutableIntact")[0] == "False")
    _, reason, message = condition(found, "ImmutableIntact")
    assert reason == "ContentChanged"
    field = "spec.template.spec.containers[agent].env[DEBUG]"
    assert message.startswith(f"kubectl-set has set {field} of Deployment {name}: ")
    assert "ever more seldom" in message
    await until(partial(was_put_back, story, name, 4), 30, "it to be put back in the end")
    assert (await deployment(story, name))["metadata"]["generation"] == before + 2, "once, and no oftener"
    assert (await story.told()).count("ContentPutBack") == 1
    await story.until(healthy("v1"))


async def test_29_a_size_does_not_wait_for_a_put_back(story: Story) -> None:
    """As if put back often of late: the next time is five minutes away."""
    await story.first_version()
    name = await story.stable()
    found = await deployment(story, name)
    mark = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {found['metadata']['generation']} 9"
    ours = f"--field-manager={labels.PUT_BACK_MANAGER}"
    await story.kubectl("annotate", ours, f"deployment/{name}", f"{labels.PUT_BACK}={mark}")
    await story.kubectl("set", "env", f"deployment/{name}", "DEBUG=a-secret")
    await story.until(lambda found: condition(found, "ImmutableIntact")[0] == "False")
    made = await pod_spec(story, name)
    for size in (3, 2):
        await story.scale(size)
        await until(partial(has_size, story, name, size), 20, "the size to follow")
    assert await is_as(story, name, made), "the variable is still there"
    assert await was_put_back(story, name, 9)
    assert "ContentPutBack" not in await story.told()


@pytest.mark.parametrize("writer", ["kubectl-patch", "interlock"])
async def test_29_a_forged_mark_neither_delays_nor_hides(story: Story, writer: str) -> None:
    """In one request with the variable: it says that a put-back of just this generation changed nothing."""
    await story.first_version()
    name = await story.stable()
    found = await deployment(story, name)
    forged = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {found['metadata']['generation'] + 1} 9"
    container = {"name": "agent", "env": [{"name": "DEBUG", "value": "a-secret"}]}
    patch = {
        "metadata": {"annotations": {labels.PUT_BACK: forged}},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    changed = ("patch", "deployment", name, f"--field-manager={writer}", "-p", json.dumps(patch))
    await story.kubectl(*changed)
    await until(partial(is_as, story, name, found["spec"]["template"]["spec"]), 10, "the variable to be gone")
    assert await was_put_back(story, name, 1), "ours comes in the place of what was forged"
    (note,) = [e["note"] for e in await story.all("Event") if e["reason"] == "ContentPutBack"]
    who = "somebody who writes as interlock" if writer == "interlock" else writer
    assert note.startswith(f"{who} has set spec.template.spec.containers[agent].env[DEBUG]")
    await story.until(healthy("v1"))


async def test_29_what_is_applied_under_our_name_is_applied_over(story: Story) -> None:
    """The API server's record tells names, not users: this one cannot be told from us."""
    await story.first_version()
    name = await story.stable()
    before = await deployment(story, name)
    made = before["spec"]["template"]["spec"]
    forged = copy.deepcopy(before)
    (container,) = forged["spec"]["template"]["spec"]["containers"]
    container["image"] = "other:1"
    container["env"].append({"name": "DEBUG", "value": "a-secret"})
    forged["metadata"] = {key: before["metadata"][key] for key in ("name", "namespace", "labels")}
    ours = ("--server-side", "--force-conflicts", f"--field-manager={labels.FIELD_MANAGER}")
    await story.kubectl("apply", *ours, "-f", "-", stdin=json.dumps(forged))
    await until(partial(is_as, story, name, made), 10, "image and variable to be gone")
    found = await story.until(lambda found: condition(found, "ImmutableIntact")[0] == "True")
    assert "ContentPutBack" not in await story.told()
    said = [
        c["message"]
        for one in story.land.witness.history(story.namespace, "Rollout")
        for c in one.manifest.get("status", {}).get("conditions", [])
        if (c["type"], c["status"]) == ("ImmutableIntact", "False")
    ]
    assert any(message.startswith(f"pods of Deployment {name} are not made") for message in said), found


async def was_put_back(story: Story, name: str, times: int) -> bool:
    """So often, as the Deployment itself says."""
    noted = (await deployment(story, name))["metadata"].get("annotations", {}).get(labels.PUT_BACK, "")
    return bool(noted.endswith(f" {times}"))


async def test_29_defaults_that_another_manager_owns_are_left_alone(story: Story) -> None:
    """Wiped managed fields: the next apply gives all, also defaults, to what was before the first apply."""
    await story.first_version()
    name = await story.stable()
    wiped = json.dumps({"metadata": {"managedFields": [{}]}})
    await story.kubectl("patch", "deployment", name, "--type=merge", "-p", wiped)
    await story.scale(3)
    await until(partial(has_size, story, name, 3), 20, "the size to be applied")
    owners = {entry["manager"] for entry in await owning(story, name)}
    assert "before-first-apply" in owners
    await story.until(healthy("v1"))
    before = await deployment(story, name)
    await story.holds(lambda found: condition(found, "ImmutableIntact")[0] == "True", 3)
    after = await deployment(story, name)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert "ContentPutBack" not in await story.told()


async def has_size(story: Story, name: str, replicas: int) -> bool:
    """Whether the Deployment asks for so many pods."""
    return bool((await deployment(story, name))["spec"]["replicas"] == replicas)


async def owning(story: Story, name: str) -> list[Manifest]:
    """Who owns what of a Deployment."""
    shown = await story.kubectl("get", "deployment", name, "-o", "json", "--show-managed-fields")
    found: list[Manifest] = json.loads(shown)["metadata"]["managedFields"]
    return found


@pytest.mark.parametrize("role", ["candidate", "stable"])
async def test_29_of_a_deployment_that_is_gone_nothing_is_claimed(story: Story, role: str) -> None:
    await story.first_version(strategy={"steps": [objects.HELD, objects.FULL]})
    await story.release("v2")
    await story.until(clock_runs("canary"))
    name = await (story.candidate() if role == "candidate" else story.stable())
    await story.kubectl("delete", "deployment", name, "--wait=false")

    async def is_said() -> bool:
        seen = story.land.witness.history(story.namespace, "Rollout")
        said = [c for one in seen for c in one.manifest.get("status", {}).get("conditions", [])]
        unknown = [c["message"] for c in said if (c["type"], c["status"]) == ("ImmutableIntact", "Unknown")]
        return any(message.startswith(f"nothing runs of {name}") for message in unknown)

    await until(is_said, 10, "it to be said that nothing runs")
    await story.until(lambda found: condition(found, "ImmutableIntact")[0] == "True")


async def deployment(story: Story, name: str) -> Manifest:
    """As the API server has it now."""
    found: Manifest = json.loads(await story.kubectl("get", "deployment", name, "-o", "json"))
    return found


async def pod_spec(story: Story, name: str) -> Manifest:
    """What the pods of a Deployment are made from."""
    spec: Manifest = (await deployment(story, name))["spec"]["template"]["spec"]
    return spec


async def pod_notes(story: Story, name: str) -> Manifest:
    """Annotations of the pods of a Deployment."""
    notes: Manifest = (await deployment(story, name))["spec"]["template"]["metadata"].get("annotations", {})
    return notes


async def is_as(story: Story, name: str, made: Manifest) -> bool:
    """Whether its pods are made as they were."""
    return await pod_spec(story, name) == made


# ------------------------------------------------------------------ 31
PARAGRAPH = "Answer the customer politely, in full sentences, and never promise what policy does not allow. "


def prompts(bytes_: int) -> list[Manifest]:
    """Some prompts, as long as real ones."""
    part = bytes_ // 4
    text = (PARAGRAPH * (part // len(PARAGRAPH) + 1))[:part]
    return [{"name": f"part-{n}", "role": "System", "template": text} for n in range(4)]


def tools(count: int) -> list[Manifest]:
    """As many tools as a large public MCP server offers, more than a KB each."""
    field = {"type": "string", "description": PARAGRAPH * 3}
    schema = {"type": "object", "properties": {f"field{n}": field for n in range(3)}}
    return [{"name": f"tool_{n}", "description": PARAGRAPH, "inputSchema": schema} for n in range(count)]


def in_configmap(name: str, key: str, text: str) -> tuple[Manifest, Manifest]:
    """An immutable ConfigMap with the text, and the reference that pins it."""
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "immutable": True}
    reference = {"name": name, "key": key, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return held | {"data": {key: text}}, {"configMapRef": reference}


@together
async def test_31_large_content_is_refused_with_words_and_works_as_they_say(story: Story) -> None:
    """Client-side kubectl apply throughout: it keeps a copy of each manifest in an annotation."""
    await story.first_version(strategy=QUICK)
    large = prompts(140_000)
    await story.apply(objects.agent_version("v2", prompts=large))
    await story.go_to("v2")
    large_prompts = ("must be at most 64 KiB", "`prompts` has", "ConfigMaps with `immutable: true`")
    await story.until(stalled("InvalidSpec", *large_prompts, "`prompts[].source.configMapRef`"))
    await story.apply(objects.agent_version("v3", tools=tools(117)))
    await story.go_to("v3")
    many_tools = ("must be at most 64 KiB", "`tools` has", "as a JSON list")
    await story.until(stalled("InvalidSpec", *many_tools, "`toolSets[].configMapRef`"))

    maps, wanted = [], []
    for prompt in large:
        held, source = in_configmap(f"text-{prompt['name']}", "text", prompt["template"])
        maps.append(held)
        wanted.append({"name": prompt["name"], "role": "System", "source": source})
    held, reference = in_configmap("tools", "tools.json", json.dumps(tools(117)))
    content: dict[str, Any] = {"prompts": wanted, "toolSets": [{"name": "helpdesk", **reference}]}
    await story.apply(*maps, held, objects.agent_version("v4", **content))
    await story.go_to("v4")
    await story.until(stable_is("v4"))
    rendered = await story.land.api.get(core(story.namespace, "configmaps", await story.stable()))
    assert rendered is not None
    document = json.loads(rendered["data"]["agent.json"])
    assert [prompt["template"] for prompt in document["prompts"]] == [one["template"] for one in large]
    assert [tool["name"] for tool in document["tools"]] == [f"tool_{n}" for n in range(117)]


@together
async def test_31_what_does_not_fit_into_kubectls_copy_is_refused_with_words(story: Story) -> None:
    version = objects.agent_version("v2", prompts=prompts(140_000), tools=tools(117))
    refused = await story.refused("apply", "-f", "-", stdin=json.dumps(version))
    assert "metadata.annotations: Too long" in refused
    await story.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(version))


# ------------------------------------------------------------------ 32b
REFUSAL = "the record is closed today"
POLICIES = grouped("admissionregistration.k8s.io/v1", "", "validatingadmissionpolicies")
BINDINGS = grouped("admissionregistration.k8s.io/v1", "", "validatingadmissionpolicybindings")
ACCOUNT = "system:serviceaccount:interlock-system:interlock-operator"


@contextlib.asynccontextmanager
async def closed_record(story: Story) -> AsyncIterator[None]:
    """A policy of the platform team refuses Releases in the namespace, new ones and longer ones."""
    name = f"{story.namespace}-closed"
    resources = {
        "apiGroups": ["interlock.dev"],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["releases"],
    }
    policy = {
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [resources]},
            "validations": [{"expression": "false", "message": REFUSAL}],
        },
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": story.namespace}}}
    binding = {
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": here},
    }
    await story.land.api.post(POLICIES, policy)
    await story.land.api.post(BINDINGS, binding)
    try:
        await until(lambda: refuses(story), 60, "the policy to be in force", pause=0.5)
        yield
    finally:
        await story.land.api.delete(f"{BINDINGS}/{name}")
        await story.land.api.delete(f"{POLICIES}/{name}")


async def refuses(story: Story) -> bool:
    """Would the operator's own write be refused?"""
    (release, *_) = await story.all("Release")
    probe = {**release, "metadata": {"name": "probe"}}
    arguments = ("create", "--dry-run=server", f"--as={ACCOUNT}", "-f", "-")
    return REFUSAL in await story.said(*arguments, stdin=json.dumps(probe))


@together
async def test_32b_a_record_that_takes_no_writes_keeps_no_revert_from_the_route(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    await story.recorded(2, "AttemptStarted", "StepStarted")
    stable = await story.stable()
    async with closed_record(story):
        story.behaves("v2", violation=1.0)
        await story.until(phase("Reverting"))
        await until(lambda: at_stable(story, stable), 10, "the candidate to lose its traffic")
        await story.holds(phase("Reverting"), 2)
        await story.recorded(2, "AttemptStarted", "StepStarted")
    await story.until(phase("Reverted"))
    await story.recorded(2, "AttemptStarted", "StepStarted", "GateFailed", "GateFailed")
    assert (await story.told())[-2:] == ["GateFailed", "TrafficStopped"]
    await story.only_serves("v1")


async def at_stable(story: Story, stable: str) -> bool:
    """The route gives stable everything."""
    return story.weights()[stable] == 100


WALKED = ("AttemptStarted", "StepStarted", "SoakStarted", "SoakPassed")


@together
async def test_32b_a_record_that_takes_no_writes_holds_an_attempt_that_begins(story: Story) -> None:
    await story.first_version(strategy=QUICK)
    async with closed_record(story):
        await story.release("v2")
        await story.until(phase("Preparing"))
        await story.holds(phase("Preparing"), 4)
    await story.until(healthy("v2"), 60)
    await story.recorded(2, *WALKED)


@together
async def test_32b_a_record_that_takes_no_writes_holds_a_step_that_would_end(story: Story) -> None:
    """The move that is decided is not lost, and none comes after it."""
    await story.first_version(strategy=QUICK)
    story.traffic(0)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.recorded(2, "AttemptStarted", "StepStarted")
    async with closed_record(story):
        story.traffic(40)
        await story.until(phase("Full"))
        await story.holds(phase("Full"), 4)
        await story.recorded(2, "AttemptStarted", "StepStarted")
    await story.until(healthy("v2"), 60)
    await story.recorded(2, *WALKED)


LET_IN = "--as=system:serviceaccount:kube-system:generic-garbage-collector"
"""A user whom the policy lets write Releases, as all are let where it is not installed."""


async def release_of_v2(story: Story) -> str:
    """The name of the running attempt's Release."""
    rollout = await story.rollout()
    assert rollout.status.attempt is not None
    return release_name(rollout.metadata.name, rollout.metadata.uid, rollout.status.attempt.number)


@together
async def test_32b_a_record_that_an_admin_deletes_is_made_anew_and_the_attempt_goes_on(story: Story) -> None:
    await story.first_version(strategy=QUICK)
    story.traffic(0)
    await story.release("v2")
    await story.until(clock_runs("canary"))
    await story.recorded(2, "AttemptStarted", "StepStarted")
    name = await release_of_v2(story)
    await story.kubectl("delete", "release", name, LET_IN)
    await story.recorded(2, "StepStarted")
    found = await story.until(lambda found: condition(found, "RecordBroken")[0] == "True")
    _, reason, message = condition(found, "RecordBroken")
    assert reason == "RecordLost"
    assert message.startswith(f"Release {name} was deleted and is made anew")
    assert "transition 1 is not on record any more" in message
    assert (await story.told()).count("RecordLost") == 1
    story.traffic(40)
    await story.until(healthy("v2"), 60)
    await story.recorded(2, "StepStarted", "SoakStarted", "SoakPassed")


@together
async def test_32b_upon_a_forged_record_nothing_walks_on_but_harm_is_taken_back(story: Story) -> None:
    await story.first_version(strategy=CANARY_FIRST)
    await story.release("v2")
    await story.until(measured("violations"))
    await story.recorded(2, "AttemptStarted", "StepStarted")
    stable, name = await story.stable(), await release_of_v2(story)
    held = (await story.entries(2))[-1]
    forged = {**held, "seq": 3, "stage": "Done", "outcome": "Promoted", "reason": "SoakPassed"}
    patch = json.dumps([{"op": "add", "path": "/entries/-", "value": forged}])
    await story.kubectl("patch", "release", name, LET_IN, "--type=json", "-p", patch)
    found = await story.until(stalled("RecordDiffers"))
    assert f"Release {name} holds a transition 3 that somebody else" in condition(found, "Stalled")[2]
    story.behaves("v2", violation=1.0)
    await until(lambda: at_stable(story, stable), 40, "the candidate to lose its traffic")
    await story.until(phase("Reverting"))
    await story.kubectl("delete", "release", name, LET_IN)
    await story.until(phase("Reverted"))
    await story.recorded(2, "GateFailed", "GateFailed")
    await story.only_serves("v1")
