"""What each version does with each question, without a network; run it to see the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dev.demo.agent.catalogue import Catalogue, Question
from dev.demo.agent.document import Configuration
from dev.demo.agent.judge import Verdict, judge_answer
from dev.demo.agent.scorer import Index
from dev.demo.data import Half, build, fetch
from dev.demo.versions import VERSIONS, document

Outcomes = Mapping[str, Verdict]
"""The verdict on every question of a catalogue, by question id."""


@dataclass(frozen=True)
class Rates:
    """Counts over all questions of a catalogue: verified success, and acting where no tool fits."""

    right: int
    answerable: int
    acted: int
    irrelevant: int

    @property
    def success(self) -> float:
        """Share of the answerable questions that got the published tool."""
        return self.right / self.answerable

    @property
    def acts_on_irrelevant(self) -> float:
        """Share of the irrelevant questions that got any tool."""
        return self.acted / self.irrelevant


def outcomes(configuration: Configuration, catalogue: Catalogue) -> Outcomes:
    """What an agent of this configuration does with every question of the catalogue."""
    index = Index(catalogue.tools, configuration)
    return {
        question.id: judge_answer(question, chosen_tool(index, configuration, catalogue, question))
        for question in catalogue.questions
    }


def chosen_tool(
    index: Index, configuration: Configuration, catalogue: Catalogue, question: Question
) -> str | None:
    """The tool chosen for a question, None for a decline."""
    choice = index.choose(question.text, question.tools)
    if configuration.minimum_score is not None and choice.score < configuration.minimum_score:
        return None
    return catalogue.tools[question.tools[choice.position]].name


def rates(verdicts: Outcomes) -> Rates:
    """Counts the verdicts up."""
    count = Counter(verdicts.values())
    right, acted = count[Verdict.RIGHT], count[Verdict.ACTED_ON_IRRELEVANT]
    return Rates(
        right=right,
        answerable=right + count[Verdict.WRONG_TOOL] + count[Verdict.DECLINED],
        acted=acted,
        irrelevant=acted + count[Verdict.DECLINED_IRRELEVANT],
    )


def right_alone(verdicts: Outcomes, other: Outcomes) -> int:
    """How many questions only the first of two versions gets right."""
    return sum(
        verdict is Verdict.RIGHT and other[question] is not Verdict.RIGHT
        for question, verdict in verdicts.items()
    )


def replay(verdicts: Outcomes, questions: Iterable[Question]) -> Iterator[Verdict]:
    """The verdicts on a stream of questions, such as `traffic.draw` gives, one a question."""
    return (verdicts[question.id] for question in questions)


def table(catalogue: Catalogue) -> list[str]:
    """One line a version: success, acting on irrelevant questions, and both shares of all tasks."""
    all_verdicts = {name: outcomes(document(name).configuration, catalogue) for name in VERSIONS}
    lines = [f"{'version':10} {'success':>18} {'acts on irrelevant':>20} {'only right: it / v1':>21}"]
    for name, verdicts in all_verdicts.items():
        rate, base = rates(verdicts), all_verdicts[VERSIONS[0]]
        lines.append(
            f"{name:10} {rate.success:8.3f} ({rate.right}/{rate.answerable})"
            f" {rate.acts_on_irrelevant:10.3f} ({rate.acted:3}/{rate.irrelevant})"
            f" {right_alone(verdicts, base):12} / {right_alone(base, verdicts)}"
        )
    return lines


if __name__ == "__main__":
    data = fetch()
    for half in (Half.EVALUATION, Half.TUNING):
        print(f"{half.name.lower()} half", *table(build(data, half)), sep="\n", end="\n\n")
