"""Which status may follow which: CEL that the API server holds even the operator to.

Never says what should happen next, only what cannot: no traffic without a step, no step left out, nothing
stable that was not tried. Turning back is possible from every active stage.

A rule that compares with `oldSelf` is skipped where one of the two is missing: that a field stays is said on
its parent. `.?x.orValue(y)` reads a field that may be absent.

Every write of a status passes all rules, and for each field that a rule reads the API server lists all fields
beside it (`Structural.Properties` in apiextensions-apiserver), twice where the field is there: what lets most
writes pass is asked first, and what can be said of a field alone stands on that field, where nothing is read.
"""

from __future__ import annotations

from interlock.model.base import rules

_ANOTHER = "self.number != oldSelf.number"
_INDEX = "self.?stepIndex.orValue(0)"
_OLD_INDEX = "oldSelf.?stepIndex.orValue(0)"

_FOLLOWS = (
    "must have a `stage` that follows the last: Preparing may be followed by any; Running by all but "
    "Done; Soaking by all but Running; Reverting and Done by Done only"
)

STAGE = rules(
    (
        (
            # Done is followed by another attempt's Preparing only, by a rule on the attempt
            "self == oldSelf || self in {"
            "'Preparing': ['Running', 'Soaking', 'Reverting', 'Done'], "
            "'Running': ['Preparing', 'Soaking', 'Reverting'], "
            "'Soaking': ['Preparing', 'Reverting', 'Done'], "
            "'Reverting': ['Done'], "
            "'Done': ['Preparing']}[oldSelf]"
        ),
        _FOLLOWS,
    )
)
"""On `status.attempt.stage`."""

OUTCOME = rules(("self == oldSelf", "must keep its `outcome` once it is Done"))
"""On `status.attempt.outcome`; that it stays there follows from the rules about `stage`."""

ATTEMPT = rules(
    (
        "has(self.outcome) == (self.stage == 'Done')",
        "must have an `outcome` when `stage` is Done, and only then",
    ),
    (
        "!has(self.splitMismatch) || self.stage in ['Running', 'Soaking']",
        "must have `splitMismatch` only while `stage` is Running or Soaking",
    ),
    (f"self.stage != 'Preparing' || {_INDEX} == 0", "must have `stepIndex` 0 while `stage` is Preparing"),
    (
        (
            f"!({_ANOTHER}) || (oldSelf.stage == 'Done' && self.number == oldSelf.number + 1 "
            "&& self.seq == 1 && self.stage == 'Preparing')"
        ),
        (
            "must be followed by another attempt only when it is Done: with `number` one higher, `seq` 1 and "
            "`stage` Preparing"
        ),
    ),
    # Another attempt is Preparing, by the rule above: the rules about other stages need not ask for it.
    (
        f"self.seq - oldSelf.seq in [0, 1] || {_ANOTHER}",
        "must raise `seq` by at most 1 within an attempt, and never lower it",
    ),
    (
        (
            f"(self.stage == oldSelf.stage && {_INDEX} == {_OLD_INDEX}) || self.seq != oldSelf.seq "
            f"|| {_ANOTHER}"
        ),
        "must keep `stage` and `stepIndex` while `seq` stays",
    ),
    (f"self.stage != 'Preparing' || oldSelf.stage != 'Done' || {_ANOTHER}", _FOLLOWS),
    # Where the gates have changed, `seq` rises and the step stays.
    (
        (
            f"self.stage != 'Running' || (oldSelf.stage == 'Preparing' "
            f"? {_INDEX} == 0 : {_INDEX} - {_OLD_INDEX} in [0, 1])"
        ),
        "must leave out no step: `stepIndex` is 0 after Preparing, then the same or one higher",
    ),
    (
        (
            f"self.stage != 'Soaking' || (oldSelf.stage == 'Soaking' "
            f"? {_INDEX} == {_OLD_INDEX} : oldSelf.stage == 'Running' ? {_INDEX} == {_OLD_INDEX} + 1 "
            f": {_INDEX} == 0 || self.?fastPath.orValue(false))"
        ),
        (
            "must soak in the step after the last one; straight from Preparing only where that is the first "
            "step, or by `fastPath`"
        ),
    ),
    (
        f"!self.?fastPath.orValue(false) || oldSelf.?fastPath.orValue(false) || {_ANOTHER}",
        "must not take to the `fastPath` after it has begun",
    ),
    (
        "oldSelf.stage in ['Preparing', 'Soaking', 'Done'] || self.?outcome.orValue('') != 'Promoted'",
        "must be Promoted after the soak only, or when it is the first version",
    ),
)
"""On `status.attempt`."""

_STAYS = "has(self.attempt) && has(oldSelf.attempt) && self.attempt.number == oldSelf.attempt.number"
_PROMOTED_NOW = (
    f"{_STAYS} && self.attempt.?outcome.orValue('') == 'Promoted' && oldSelf.attempt.stage != 'Done'"
)
_STABLE_IS_CANDIDATE = (
    "has(oldSelf.candidate) && self.stable.version == oldSelf.candidate.version "
    "&& self.stable.uid == oldSelf.candidate.uid && self.stable.digest == oldSelf.candidate.digest "
    "&& self.stable.workload == oldSelf.candidate.workload"
)
_NO_SHARE = (
    "self.?traffic.optMap(split, split.candidatePercent + split.shadowPercent "
    "+ split.?controlPercent.orValue(0)).orValue(0) == 0"
)

STATUS = rules(
    ("has(self.attempt) || !has(oldSelf.attempt)", "must keep `attempt` once there is one"),
    ("has(self.stable) || !has(oldSelf.stable)", "must keep `stable` once there is one"),
    (
        (
            "has(oldSelf.attempt) || !has(self.attempt) "
            "|| (self.attempt.seq == 1 && self.attempt.stage == 'Preparing')"
        ),
        "must begin the first `attempt` with `seq` 1 and `stage` Preparing",
    ),
    (
        (
            f"{_NO_SHARE} || self.?attempt.?stage.orValue('') in "
            "(has(self.stable) ? ['Running', 'Soaking'] : ['Preparing'])"
        ),
        (
            "must have `traffic.candidatePercent`, `traffic.shadowPercent` and `traffic.controlPercent` 0 "
            "unless `attempt.stage` is Running or Soaking, or Preparing where there is no `stable` yet"
        ),
    ),
    (
        (
            # with another `number` the attempt is Preparing, and all shares are 0 by the rule above
            f"{_NO_SHARE} || self.?attempt.?seq != oldSelf.?attempt.?seq "
            "|| (self.traffic.candidatePercent <= oldSelf.?traffic.?candidatePercent.orValue(0) "
            "&& self.traffic.shadowPercent <= oldSelf.?traffic.?shadowPercent.orValue(0) "
            "&& self.traffic.?controlPercent.orValue(0) <= oldSelf.?traffic.?controlPercent.orValue(0))"
        ),
        (
            "must not raise `traffic.candidatePercent`, `traffic.shadowPercent` or `traffic.controlPercent` "
            "without another `attempt.seq`: a share is raised by a transition only"
        ),
    ),
    (
        (
            "!has(self.stable) "
            "|| (has(oldSelf.stable) ? self.stable == oldSelf.stable : !has(oldSelf.attempt)) "
            f"|| ({_PROMOTED_NOW} && {_STABLE_IS_CANDIDATE})"
        ),
        "must not change `stable`, except to `candidate` when that is promoted",
    ),
    (
        (
            "(has(self.candidate) ? has(oldSelf.candidate) && self.candidate == oldSelf.candidate "
            f": !has(oldSelf.candidate) || self.attempt.stage == 'Done') || !({_STAYS})"
        ),
        "must keep `candidate` as it is until the attempt is Done",
    ),
    (
        (
            "oldSelf.?attempt.?stage.orValue('') != 'Preparing' || !has(oldSelf.stable) "
            f"|| self.?attempt.?outcome.orValue('') != 'Promoted' || !({_STAYS})"
        ),
        "must not promote from Preparing where there is a `stable` version: it walks the steps",
    ),
    (
        (
            "oldSelf.?quarantine.orValue([]).size() == 0 "
            # one by one only where one is missing
            "|| (has(self.quarantine) && sets.contains("
            "self.quarantine.map(kept, kept.digest), oldSelf.quarantine.map(old, old.digest))) "
            "|| oldSelf.quarantine.filter(old, !has(self.quarantine) "
            "|| !self.quarantine.exists(kept, kept.digest == old.digest)).size() <= 1"
        ),
        "must release at most one entry of `quarantine` at a time",
    ),
    (
        (
            "self.?draining.orValue([]).size() == 0 || !has(self.stable) "
            "|| !self.draining.exists(item, item.workload == self.stable.workload)"
        ),
        "must not have the workload of `stable` among `draining`: what drains is deleted",
    ),
)
"""On `status`: what is said of two fields, and which fields stay."""

_STANDS = (
    # without another `seq` the attempt is where it was, by a rule of its own
    "!(self.?status.?attempt.?stage.orValue('') in ['Running', 'Soaking']) "
    "|| self.?status.?attempt.?seq == oldSelf.?status.?attempt.?seq "
    "|| !has(oldSelf.status) || !has(oldSelf.status.attempt) "
    "|| (self.status.attempt.stage == oldSelf.status.attempt.stage "
    "&& self.status.attempt.?stepIndex.orValue(0) == oldSelf.status.attempt.?stepIndex.orValue(0))"
)
_HAS_STEP = "self.status.attempt.?stepIndex.orValue(0) < size(self.spec.strategy.steps)"
_STEP = "[self.spec.strategy.steps[self.status.attempt.?stepIndex.orValue(0)]]"

ROLLOUT = rules(
    # Only when a step is entered: afterwards the user may edit the strategy at any time.
    (
        (
            f"{_STANDS} || ({_HAS_STEP} "
            f"&& {_STEP}.all(step, has(step.full) == (self.status.attempt.stage == 'Soaking')))"
        ),
        (
            "must have a `status.attempt` in one of `spec.strategy.steps`: in stage Soaking at `full`, in "
            "Running at any other"
        ),
    ),
    (
        (
            f"{_STANDS} || !({_HAS_STEP}) || (has(self.status.traffic) && {_STEP}.all(step, "
            "self.status.traffic.candidatePercent == (has(step.canary) ? step.canary.percent "
            ": has(step.full) ? 100 - step.full.?holdoutPercent.orValue(0) : 0) "
            "&& self.status.traffic.shadowPercent == (has(step.shadow) ? step.shadow.percent : 0) "
            "&& self.status.traffic.?controlPercent.orValue(0) "
            "== (has(step.shadow) && step.shadow.?control.orValue(false) ? step.shadow.percent : 0)))"
        ),
        "must have the shares in `status.traffic` that `spec.strategy.steps` has for the step that begins",
    ),
)
"""On the whole object: what is said of `status` and `spec` together."""
