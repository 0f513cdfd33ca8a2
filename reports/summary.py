"""The figures at the top of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

from reports import facts, formats, values
from reports.record import Record, Step, standings


@dataclass(frozen=True)
class Card:
    """A figure at the top of the page: what it is, the figure, and a line below it."""

    what: str
    figure: str
    below: str = ""


def of_record(record: Record) -> List[Card]:
    """Return the figures at the top."""
    steps = record.steps
    counts = standings(steps)
    valid = counts.pop("valid", 0)
    rest = ", ".join(f"{count} {state}" for state, count in counts.items())
    peak = max((step.memory.get("GB", 0.0) for step in steps), default=0.0)
    on_gpu = max((step.memory.get("GPU GB", 0.0) for step in steps), default=0.0)
    devices = sorted({step.device for step in steps if step.device})
    networks = [n for n in record.networks if n.validation is not None]
    best = max(networks, key=lambda n: n.validation or 0.0) if networks else None
    figures = [
        *_final_cards(record),
        Card("steps that count", f"{valid} of {len(steps)}", rest or "every receipt holds"),
        Card(
            "computing",
            formats.duration(sum(step.seconds or 0.0 for step in steps if step.network)),
            "summed over the steps of networks",
        ),
    ]
    if best:
        score = formats.r2(best.validation)
        figures.insert(1, Card("best network, validation", score, best.name))
    if record.published:
        scores = {rows: formats.r2(record.published.get(rows)) for rows in ("public", "private")}
        team = Card(
            "the team's blend, published", scores["private"], f"private; public {scores['public']}"
        )
        figures.insert(1, team)
    left = len(facts.not_begun(record))
    if left:
        figures.append(Card("not begun", str(left), "steps that make plan names beside these"))
    if devices:
        figures.append(Card("device", devices[0], ", ".join(devices[1:]) or _cores(steps)))
    if peak:
        below = f"{on_gpu:.2f} GB of a GPU" if on_gpu else "of one process"
        figures.append(Card("peak memory", f"{peak:.2f} GB", below))
    return figures


def _cores(steps: Sequence[Step]) -> str:
    counts = [values.number(step.details.get("cores")) for step in steps if step.device]
    cores = sorted({int(count) for count in counts if count})
    return f"{'/'.join(map(str, cores))} cores" if cores else ""


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
