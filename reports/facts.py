"""What the page says in numbers and words, from the record alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from leapkit.core.errors import printable
from reports import formats, values
from reports.record import TRAININGS, Network, PlannedStep, Record, Score, Step

MOST_INPUTS = 60  # of a step that the page lists
_BLEND = "blend and what belongs to it"


@dataclass(frozen=True)
class NetworkLine:
    """What a network's steps have in common: the devices, torch, precisions, memory."""

    network: Network
    started: str
    trained: float
    predicted: float
    trainings: int
    devices: str
    torch: str
    precisions: str
    memory: Mapping[str, float]
    digests: Tuple[str, ...]


@dataclass(frozen=True)
class BlendLine:
    """One blend: its title, its final step, its scores, and those that the team published.

    published  {"cv", "public", "private"} of the team's blend, beside which it stands; {} if none
    """

    title: str
    step: Step
    test: Optional[Score]
    public: Optional[Score]
    private: Optional[Score]
    published: Mapping[str, float]


def title(record: Record) -> str:
    """Return what the page is called."""
    named = len(record.networks)
    networks = f"{named} network{'' if named == 1 else 's'}"
    kinds = {
        "training": f"Training of {networks}",
        "inference": f"Inference of {networks}",
        "blend": f"Blend of {networks} from parquets",
    }
    return kinds[record.kind]


def is_sample(record: Record) -> bool:
    """Return whether the networks are of sample size, so that no score is a published one's."""
    profiles = {values.text(step.details.get("profile")) for step in record.steps}
    return "sample" in profiles or (profiles <= {""} and record.plan.profile == "sample")


def networks(record: Record) -> List[NetworkLine]:
    """Return a line for each network."""
    return [_line(network, _steps_of(record, network)) for network in record.networks]


def _steps_of(record: Record, network: Network) -> List[Step]:
    names = set(network.steps)
    return [step for step in record.steps if step.name in names]


def _line(network: Network, steps: Sequence[Step]) -> NetworkLine:
    trainings = [step for step in steps if step.kind in TRAININGS]
    peaks: Dict[str, float] = {}
    for step in steps:
        for name, amount in step.memory.items():
            peaks[name] = max(amount, peaks.get(name, 0.0))
    return NetworkLine(
        network=network,
        started=min((step.started for step in steps if step.started), default=""),
        trained=sum(step.seconds or 0.0 for step in trainings),
        predicted=sum(step.seconds or 0.0 for step in steps if step.kind == "submission"),
        trainings=len(trainings),
        devices=_joined([step.device for step in steps]),
        torch=_joined([step.packages.get("torch", "") for step in steps]),
        precisions=_joined([step.precision for step in steps]),
        memory=peaks,
        digests=tuple(step.product.sha256 for step in steps if step.kind not in TRAININGS),
    )


def _joined(words: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(word for word in words if word)) or formats.NOTHING


def blends(record: Record) -> List[BlendLine]:
    """Return a line for each blend, that of the page first."""
    reached = {(score.rows, score.name): score for score in record.scores}
    lines = []
    for step in record.steps:
        if step.kind == "blend":
            table = step.details.get("table")
            stem = step.product.path.rpartition("/")[2].rpartition(".")[0]
            name = stem.replace("final_blend_", "", 1)
            lines.append(
                BlendLine(
                    title=name,
                    step=step,
                    test=reached.get(("test", f"blend {name}")),
                    public=reached.get(("public", stem)),
                    private=reached.get(("private", stem)),
                    published=record.published if table in ("v10", record.table) else {},
                )
            )
    return sorted(lines, key=lambda line: line.step.details.get("table") != record.table)


def baselines(record: Record) -> List[Score]:
    """Return the scores of what is neither a network nor a blend: the ridge regression."""
    named = {network.artifact for network in record.networks}
    return [
        score
        for score in record.scores
        if score.rows == "test" and score.name not in named and not score.name.startswith("blend ")
    ]


def environments(record: Record) -> List[Tuple[Dict[str, str], int]]:
    """Return every environment that took part, and how many steps ran there."""
    locks = {sha256: name for name, sha256 in record.kit.locks.items()}
    counts: Counter[Tuple[Tuple[str, str], ...]] = Counter()
    for step in record.steps:
        if step.environment:
            counts[tuple(_environment(step, locks).items())] += 1
    return [(dict(items), number) for items, number in counts.most_common()]


def _environment(step: Step, locks: Mapping[str, str]) -> Dict[str, str]:
    known = step.environment
    lock = known.get("lock", "")
    return {
        "stack": known.get("stack") or formats.NOTHING,
        "Python": known.get("python", ""),
        **{
            name: step.packages.get(name, formats.NOTHING) for name in ("torch", "numpy", "pyarrow")
        },
        "image": known.get("image") or "none",
        "lock": " ".join(locks.get(sha, sha[:12]) for sha in lock.split()) or "not recorded",
        "kit": known.get("code") or formats.NOTHING,
        "platform": known.get("platform", ""),
    }


def receipts(record: Record) -> List[Tuple[str, List[Step]]]:
    """Return (network, its steps), and at the end all that is of no network."""
    named = [(network.name, _steps_of(record, network)) for network in record.networks]
    taken = {step.name for _, steps in named for step in steps}
    rest = [step for step in record.steps if step.name not in taken]
    return named + ([(_BLEND, rest)] if rest else [])


def outside(record: Record) -> List[Tuple[str, str, int]]:
    """Return (role, sha256, number of steps) of the inputs that no step of the run made."""
    made = {file.sha256 for step in record.steps for file in (step.product, *step.outputs)}
    counts: Counter[Tuple[str, str]] = Counter()
    for step in record.steps:
        if len(step.inputs) <= MOST_INPUTS:
            counts.update((role, sha) for role, sha in step.inputs.items() if sha not in made)
    own = (
        "network",
        "recipe",
        "stack",
        "start",
        "page",
        "artifacts",
        "weights",
    )  # of the kit, not files
    return [(role, sha, n) for (role, sha), n in sorted(counts.items()) if role not in own]


def not_begun(record: Record) -> List[PlannedStep]:
    """Return the planned steps of which the run has no trace yet."""
    known = {(step.network, step.group) for step in record.steps}
    artifacts = {step.artifact for step in record.steps if step.artifact}
    tables = {values.text(s.details.get("table")) for s in record.steps if s.kind == "blend"}
    return [
        planned
        for planned in record.plan.steps
        if planned.runs
        and (planned.name, planned.group) not in known
        and planned.artifact not in artifacts
        and planned.name not in tables
    ]


def plain(details: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """Return the entries of a receipt's details as text, nested ones as name: value."""
    return [(printable(name), _shown(value)) for name, value in details.items()]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        text = "; ".join(f"{name}: {_shown(each)}" for name, each in list(value.items())[:40])
    elif isinstance(value, list):
        text = ", ".join(map(_shown, value[:40])) + (" ..." if len(value) > 40 else "")
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return printable(text, 2000)
