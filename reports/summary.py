"""The figures at the top of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Sequence

from reports import facts, formats, values
from reports.record import Record, Step, standings


@dataclass(frozen=True)
class Card:
    """A figure at the top of the page: what it is, the figure, and a line below it."""

    what: str
    figure: str
    below: str = ""


def of_record(record: Record) -> List[Card]:
    """Return the figures at the top, what was reached and published first."""
    return [
        *_final_cards(record),
        *_published(record),
        *_best(record),
        _counted(record.steps),
        *_computing(record.steps),
        *_not_begun(record),
        *_devices(record.steps),
        *_memory(record.steps),
    ]


def _final_cards(record: Record) -> List[Card]:
    final = record.final()
    if not final:
        return [Card("blend", "none yet", "no final parquet")]
    [line] = [each for each in facts.blends(record) if each.step is final]
    private = line.private or line.test
    if private:
        where = "Kaggle, private" if line.private else "withheld test rows"
        below = f"{where}, over 368 targets"
        return [Card(f"R2 of the blend {line.title}", formats.r2(private.all), below)]
    return [Card(f"blend {line.title}", final.standing.state, "its score is not known here")]


def _published(record: Record) -> Iterator[Card]:
    if record.published:
        scores = {rows: formats.r2(record.published.get(rows)) for rows in ("public", "private")}
        below = f"private; public {scores['public']}"
        yield Card("the team's blend, published", scores["private"], below)


def _best(record: Record) -> Iterator[Card]:
    networks = [(each.validation, each.name) for each in record.networks if each.validation]
    if networks:
        score, name = max(networks)
        yield Card("best network, validation", formats.r2(score), name)


def _counted(steps: Sequence[Step]) -> Card:
    counts = standings(steps)
    valid = counts.pop("valid", 0)
    rest = ", ".join(f"{count} {state}" for state, count in counts.items())
    return Card("steps that count", f"{valid} of {len(steps)}", rest or "every receipt holds")


def _computing(steps: Sequence[Step]) -> Iterator[Card]:
    seconds = sum(step.seconds or 0.0 for step in steps if step.network)
    if seconds:
        below = "summed over the steps of networks"
        yield Card("computing", formats.duration(seconds), below)


def _not_begun(record: Record) -> Iterator[Card]:
    left = len(facts.not_begun(record))
    if left:
        yield Card("not begun", str(left), "steps that make plan names beside these")


def _devices(steps: Sequence[Step]) -> Iterator[Card]:
    devices = sorted({step.device for step in steps if step.device})
    if devices:
        yield Card("device", devices[0], ", ".join(devices[1:]) or _cores(steps))


def _cores(steps: Sequence[Step]) -> str:
    counts = [values.number(step.details.get("cores")) for step in steps if step.device]
    cores = sorted({int(count) for count in counts if count})
    return f"{'/'.join(map(str, cores))} cores" if cores else ""


def _memory(steps: Sequence[Step]) -> Iterator[Card]:
    peak = max((step.memory.get("GB", 0.0) for step in steps), default=0.0)
    on_gpu = max((step.memory.get("GPU GB", 0.0) for step in steps), default=0.0)
    if peak:
        below = f"{on_gpu:.2f} GB of a GPU" if on_gpu else "of one process"
        yield Card("peak memory", f"{peak:.2f} GB", below)
