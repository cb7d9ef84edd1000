"""The format of a story: given, then steps. An unknown key is an error that names it.

What a step does is in telling.py, what is expected in expecting.py; how agents do is a script of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from interlock.simulation.script import Script, Seconds, Strict

Manifest = dict[str, Any]
Role = Literal["stable", "candidate", "shadow", "control"]
"""A workload by what it is for at the moment."""


# ------------------------------------------------------------------ what is expected
class Condition(Strict):
    """A condition: `True/Reverted`, and words that its message must hold."""

    shows: Annotated[str, Field(alias="is", pattern="^(True|False|Unknown)/[A-Z][A-Za-z]+$")]
    says: tuple[str, ...] = ()


class Writes(Strict):
    """Writes of the operator since `count`."""

    at_most: int
    only: tuple[str, ...] | None = None
    """Kinds; any when absent."""


class Came(Strict):
    """What came of an attempt, as its Release says."""

    lifts: dict[str, Literal["up", "down", "unclear", "unknown"]] = Field(default_factory=dict)
    """By metric: where its interval lies."""
    expected: dict[str, Literal["Confirmed", "Refuted", "Inconclusive"]] = Field(default_factory=dict)
    says: tuple[str, ...] = ()
    """Words of the judgements."""
    times: tuple[str, ...] | None = None
    """Which are known (trafficStarted, harmSince, detected, stopped, cleared), in order of time."""
    costs: bool | None = None
    """Whether it is known what the candidate's tasks cost."""


class Expect(Strict):
    """What is to be seen; what is not named may be anything."""

    of: str = "triage"
    """Name of the Rollout."""
    phase: str | tuple[str, ...] | None = None
    step: str | None = None
    attempt: int | None = None
    outcome: str | None = None
    stable: str | None = None
    """The version's name; `none` while there is none."""
    candidate: str | None = None
    weights: dict[str, int] | Literal["none"] | None = None
    """Of the route: by role, or by name where the workload has none; and what is mirrored (`mirror`; to
    stable's own shadow, `control`). {} is a closed route, `none` no route at all."""
    route: dict[str, Any] = Field(default_factory=dict)
    """Fields of the route by their path (RFC 6901); null where there is to be none."""
    traffic: dict[str, int] | None = None
    """The same as intended by the status: stable, candidate, shadow, control."""
    conditions: dict[str, Condition | str] = Field(default_factory=dict)
    """By type: `True/Reason`, `absent`, or with words of the message."""
    templates: dict[str, Condition | str] = Field(default_factory=dict)
    """Ready of MetricTemplates, by name."""
    ledger: dict[int, tuple[str, ...]] = Field(default_factory=dict)
    """Moves by attempt, `Stage: Cause` or the cause alone; `...` first: others went before."""
    outcomes: dict[int, str] = Field(default_factory=dict)
    results: dict[int, Came] = Field(default_factory=dict)
    """By attempt."""
    quarantine: tuple[str, ...] | None = None
    draining: Annotated[int, Field(ge=0)] | None = None
    events: dict[str, int] = Field(default_factory=dict)
    """How often each reason was told."""
    gates: dict[str, str] = Field(default_factory=dict)
    """Verdicts by name, or `absent`."""
    replicas: dict[Role, int] = Field(default_factory=dict)
    """Wanted pods by role; the template's and the Rollout's are the user's own."""
    images: dict[Role, str] = Field(default_factory=dict)
    variables: dict[Role, tuple[str, ...]] = Field(default_factory=dict)
    """Names of the environment variables of the agent's container that are not Interlock's."""
    objects: dict[str, int] = Field(default_factory=dict)
    """How many there are of a kind."""
    tasks: dict[Role, Literal["none", "some"]] = Field(default_factory=dict)
    writes: Writes | int | None = None
    queries: int | None = None
    untouched: Literal[True] | None = None
    """Spec and metadata of what users applied are as they left them."""


class Until(Expect):
    """Seconds pass until all of it is to be seen."""

    within: Seconds = 900


class Holds(Expect):
    """It is to be seen now and stays so."""

    lasts: Annotated[Seconds, Field(alias="for")]
    stride: Seconds | None = None


# ------------------------------------------------------------------ what users do
class Target(Strict):
    """One object: by name, or ours by its role; a Release is that of the running, or last, attempt."""

    kind: str = "Rollout"
    name: str = "triage"
    of: Role | None = None


class Patch(Target):
    """kubectl patch: `merge` (maps merged, all else replaced, null removes) or `json` (RFC 6902)."""

    merge: Manifest = Field(default_factory=dict)
    json_: Annotated[tuple[Manifest, ...], Field(alias="json")] = ()


class Delete(Target):
    """kubectl delete; `Orphan` leaves what it owns."""

    cascade: Literal["Background", "Orphan"] = "Background"


# ------------------------------------------------------------------ what the world does
class Run(Strict):
    """Seconds pass; with `relist`, the operator compares its cache with the API server on the way."""

    lasts: Annotated[Seconds, Field(alias="for")]
    stride: Seconds | None = None
    relist: bool = False


class Pods(Strict):
    """How the pods of a version, or of an image, are."""

    ready: bool | None = None
    room: int | None = None
    """How many of them find a node."""
    conversations: int | None = None
    ahead: Seconds | None = None
    """By how much the clock of who reports on their Deployment is ahead."""


class Prometheus(Strict):
    """`answers`: what every query fails with; `values`: what counters of the candidate are scraped as."""

    answers: str | None = None
    scrapes: bool = True
    values: Literal["NaN", "+Inf", "-Inf"] | None = None


class Gateway(Strict):
    """How the gateway's controller does."""

    up: bool = True
    skips: tuple[str, ...] = ()
    """Versions that it sends nothing to, whatever the route says."""
    weighs: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Versions to which it sends so many times what the route says."""
    refuses: str = ""
    """Why it does not accept routes."""
    features: tuple[str, ...] | None = None
    """Of its GatewayClass; as before when absent."""


class Alert(Strict):
    """An alert, firing from now on or no longer; labels beside namespace and agent."""

    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    firing: bool = True


class Refuse(Strict):
    """Writes that the API server does not take from now on."""

    kind: str
    verb: str | None = None
    error: Literal["quota", "unavailable"] = "unavailable"
    times: int | None = None


class Kill(Strict):
    """The operator dies before or after its n-th write from now on; a fresh one goes on."""

    before: int | None = None
    after: int | None = None


# ------------------------------------------------------------------ the story
class Step(Strict):
    """Exactly one of these."""

    apply: tuple[str | Manifest, ...] | None = None
    """AgentVersions by name, manifests, or `like` one of ours with another `name` and parts of `spec`."""
    serve: str | None = None
    """spec.versionRef names this version."""
    patch: Patch | None = None
    pause: bool | None = None
    scale: int | None = None
    delete: Delete | None = None
    recreate: Target | None = None
    metrics: Script | None = None
    pods: dict[str, Pods] | None = None
    prometheus: Prometheus | None = None
    gateway: Gateway | None = None
    alert: Alert | None = None
    refuse: Refuse | Literal["nothing"] | None = None
    kill: Kill | Literal["now"] | None = None
    watch: Literal["cut", "back"] | None = None
    operators: int | None = None
    clock_ahead: Seconds | None = None
    """How far the operator's clock is before everybody else's from now on."""
    count: Literal["afresh"] | None = None
    run: Run | Seconds | None = None
    until: Until | None = None
    holds: Holds | None = None
    expect: Expect | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"must be exactly one of {', '.join(type(self).model_fields)}")
        return self


class Given(Strict):
    """How it begins: `serves` is stable already; with `tries`, another version has come to the phase `at`."""

    serves: str | None = None
    tries: str | None = None
    at: str = "Canary"
    versions: dict[str, Manifest] = Field(default_factory=dict)
    """Parts of the spec of AgentVersions; one that is not here differs by its name alone."""
    template: Manifest = Field(default_factory=dict)
    """Merged into the template Deployment."""
    rollout: Manifest = Field(default_factory=dict)
    """Merged into the Rollout's spec. Steps and gates may be names, or maps with `like` one."""
    objects: tuple[Manifest, ...] = ()
    gateway: Gateway | None = None
    metrics: Script | None = None
    pods: dict[str, Pods] = Field(default_factory=dict)
    seed: int = 1


class Story(Strict):
    """One file."""

    story: str
    """Its number in the list of stories."""
    title: str
    why: str
    crash: bool = False
    """Told again with the operator killed before and after each of its writes: it ends the same way."""
    may_lose: bool = False
    """Requests may meet no ready pod."""
    examples: tuple[dict[str, Any], ...] = ()
    """The story is told once for each, with its values where `<name>` stands."""
    given: Given = Given()
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


def read_stories(folder: Path) -> dict[str, Story]:
    """All stories of a folder by name; an example adds its values to the name."""
    found: dict[str, Story] = {}
    for path in sorted(folder.glob("*.yaml")):
        found |= read(path.stem, yaml.safe_load(path.read_text()))
    return found


def read(name: str, content: Any) -> dict[str, Story]:
    """One file's stories. Raises ValueError that names file and key."""
    examples = content.get("examples") or [{}]
    told: dict[str, Story] = {}
    for values in examples:
        words = ",".join(str(value) for value in values.values() if not isinstance(value, dict | list))
        try:
            told[f"{name}[{words}]" if values else name] = Story.model_validate(_filled(content, values))
        except ValidationError as error:
            raise ValueError(f"{name}.yaml: {error}") from error
    return told


def _filled(content: Any, values: dict[str, Any]) -> Any:
    match content:
        case dict():
            return {_filled(key, values): _filled(value, values) for key, value in content.items()}
        case list():
            return [_filled(value, values) for value in content]
        case str() if content.startswith("<") and content.endswith(">") and content[1:-1] in values:
            return values[content[1:-1]]
        case _:
            return content
