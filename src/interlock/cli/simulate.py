"""`kubectl interlock simulate`: from objects and a story to walks. Decides nothing itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.adapters.kubectl import Access
from interlock.cli import choosing, plot, render, simulated
from interlock.cli.choosing import Subject
from interlock.cli.documents import Document
from interlock.cli.options import Format
from interlock.cli.stories import read_story
from interlock.core import versions, workloads
from interlock.core.observation import Manifest, Target, Template
from interlock.core.plans import plan_problem
from interlock.errors import SpecError
from interlock.model.agentversion import AgentVersion
from interlock.model.rollout import Rollout, VersionRef
from interlock.model.rolloutstatus import RolloutStatus
from interlock.simulation.walk import Setup, Walk

NEXT = "next"
"""Name of the candidate where the Rollout asks for nothing new."""
STABLE = "stable"
"""Name of the stable version where nothing says it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for on the command line."""

    rollout: str | None
    files: tuple[str, ...]
    story: str | None
    seed: int
    seeds: int
    plot: Path | None
    output: Format | None


def run(order: Order, access: Access) -> None:
    """Walk, and write what came of it: a table, the summary of several seeds, a document, a drawing."""
    if order.story is None:
        raise SpecError("--story must name a file that tells how agents do over time: docs/simulate.md")
    if order.story == "-" and "-" in order.files:
        raise SpecError("only one of --story and -f may be `-`")
    subjects = choosing.chosen(order.rollout, order.files, access)
    if len(subjects) > 1:
        names = ", ".join(subject.rollout.metadata.name for subject in subjects)
        raise SpecError(f"exactly one Rollout is simulated, name it: {names}")
    setup = setup_of(subjects[0])
    story = read_story(order.story)
    runs = [Walk(setup, story, seed).run() for seed in range(order.seed, order.seed + order.seeds)]
    if order.plot is not None:
        _draw(order.plot, plot.svg(runs[0], simulated.title(setup, story, runs[0])))
    if order.output in (Format.JSON, Format.YAML):
        render.document(simulated.document(setup, story, runs), order.output)
    elif order.seeds > 1:
        render.table(simulated.summary(runs))
    else:
        wide = order.output is Format.WIDE
        views = (simulated.timeline(runs[0], wide=wide), simulated.gates(runs[0]), simulated.lifts(runs[0]))
        for view in views:
            if view.rows:
                render.table(view)
                print()
        print(simulated.sentence(setup, runs[0]))


def _draw(path: Path, drawing: str) -> None:
    try:
        path.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"--plot {path}: cannot be written: {error.strerror}") from error


def setup_of(subject: Subject) -> Setup:
    """What is simulated. SpecError names what is missing or wrong."""
    rollout, objects = subject.rollout, subject.beside
    if problem := plan_problem(rollout, subject.known):
        raise SpecError(problem)
    stable, candidate = _names(rollout, objects)
    asking = rollout.spec.model_copy(update={"version_ref": VersionRef(name=candidate)})
    return Setup(
        rollout=rollout.model_copy(update={"spec": asking, "status": RolloutStatus()}),
        stable=_target(stable, rollout, objects),
        candidate=_target(candidate, rollout, objects),
        template=_template(rollout, objects),
        known=subject.known,
    )


def _names(rollout: Rollout, objects: Sequence[Document]) -> tuple[str, str]:
    """Who serves, and who is tried: what the status says, else what the version's parent is."""
    wanted, serves = rollout.spec.version_ref.name, rollout.status.stable
    if serves is not None:
        return serves.version, wanted if wanted != serves.version else NEXT
    version = _agent_version(wanted, objects)
    parent = version.spec.parent_ref if version else None
    return parent.name if parent else STABLE, wanted


def _agent_version(name: str, objects: Sequence[Document]) -> AgentVersion | None:
    wanted = (one for one in objects if (one.kind, one.name) == ("AgentVersion", name))
    return next((AgentVersion.read(one.manifest) for one in wanted), None)


def _target(name: str, rollout: Rollout, objects: Sequence[Document]) -> Target:
    """The version as it would be served; one that is not given stands for itself."""
    version = _agent_version(name, objects)
    if version is None:
        return Target(name, f"simulated-{name}", hashlib.sha256(name.encode()).hexdigest(), "{}")
    if version.spec.agent != rollout.spec.agent:
        agents = f"of agent {version.spec.agent}, not of {rollout.spec.agent}"
        raise SpecError(f"AgentVersion {name} is {agents}: correct spec.versionRef")
    given = {one.name: one.manifest for one in objects if one.kind == "ConfigMap"}
    assessed = versions.assess(version, given)
    return Target(name, version.metadata.uid, assessed.digest, versions.render_json(assessed.document))


def _template(rollout: Rollout, objects: Sequence[Document]) -> Template:
    name = rollout.spec.workload.template_ref.name
    for one in objects:
        if (one.kind, one.name) == ("Deployment", name):
            return workloads.template_of(one.manifest)
    spec: Manifest = {"template": {"metadata": {}, "spec": {"containers": [{"name": "agent"}]}}}
    return Template(name, spec, workloads.template_hash(spec))
