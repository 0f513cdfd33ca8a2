"""A run as RO-Crate 1.1, by the profile Process Run Crate 0.5: the record's other view.

Each receipt is an action, with what it was made of and what it made. The folder of results is the
crate: its files are named, and nothing is copied. What lies elsewhere is named by its sha256.

Source: https://w3id.org/ro/crate/1.1 and https://w3id.org/ro/wfrun/process/0.5.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Mapping, Sequence

from reports import crate_actions
from reports.crate_actions import KIT, TERMS
from reports.crate_files import (
    Entity,
    Inputs,
    contextual,
    file_entity,
    file_id,
    of_steps,
    reference,
    references,
)
from reports.record import FileRecord, Network, Record, Score

FILE = "ro-crate-metadata.json"
VERSION = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# What the profile adds to the context of RO-Crate 1.1. Written out, it needs no second context.
ADDED = ("ContainerImage", "containerImage", "environment", "resourceUsage", "sha256", "tag")
MIT = "https://spdx.org/licenses/MIT"
CC_BY = "https://spdx.org/licenses/CC-BY-4.0"
SOLUTION = "https://github.com/ChunhanLi/2nd-kaggle-LEAP"
PAPER = "https://arxiv.org/abs/2306.08754"
DATA = "https://huggingface.co/datasets/LEAP/ClimSim_low-res"
LICENCE = "#licence"

# What is cited, as CITATION.cff has it.
CONTEXT: Sequence[Entity] = (
    {
        "@id": PROFILE,
        "@type": "CreativeWork",
        "name": "Process Run Crate",
        "version": "0.5",
    },
    {
        "@id": KIT,
        "@type": "CreativeWork",
        "name": "Reproduction kit of the 2nd-place solution of LEAP - Atmospheric Physics using AI",
        "license": reference(MIT),
        "isBasedOn": reference(SOLUTION),
    },
    {"@id": MIT, "@type": "CreativeWork", "name": "MIT License"},
    {
        "@id": SOLUTION,
        "@type": "CreativeWork",
        "name": "2nd-kaggle-LEAP, commit df6df33: what is reproduced here",
        "description": "Its code has no licence, and none of it is in the kit.",
    },
    {
        "@id": PAPER,
        "@type": "ScholarlyArticle",
        "name": "ClimSim: A large multi-scale dataset for hybrid physics-ML climate emulation",
    },
    {
        "@id": DATA,
        "@type": "CreativeWork",
        "name": "LEAP/ClimSim_low-res: the simulations that the networks are made for",
        "license": reference(CC_BY),
    },
    {"@id": CC_BY, "@type": "CreativeWork", "name": "Creative Commons Attribution 4.0"},
    {
        "@id": LICENCE,
        "@type": "CreativeWork",
        "name": "not declared",
        "description": "The results belong to who ran the kit. The kit is MIT; ClimSim is CC-BY-4.0"
        " and Kaggle's files are under the competition's rules; the team's checkpoints have no"
        " licence.",
    },
)


def document(record: Record, of_report: Sequence[FileRecord] = ()) -> Dict[str, Any]:
    """Return the metadata of a run's crate, whose root is the folder of results.

    of_report  files of the report that lie in it
    """
    inputs = Inputs(record)
    actions, others = crate_actions.of_record(record, inputs)
    files = {entity["@id"]: entity for entity in of_steps(record.steps)}
    files.update((file_id(file.path), file_entity(file, "of the report")) for file in of_report)
    scores = {entity["@id"]: entity for entity in _scores(record)}
    networks = [_network(network, record) for network in record.networks]
    root = _root(record, list(files), [each["@id"] for each in (*actions, *networks)], list(scores))
    context = {term: TERMS + term for term in ADDED}
    people = [_person(record.kit.user)] if record.kit.user else []
    entities = [*files.values(), *actions, *networks, *scores.values(), *inputs.entities.values()]
    return {
        "@context": [f"{VERSION}/context", context],
        "@graph": [_descriptor(), root, *CONTEXT, *people, *entities, *others.values()],
    }


def text(crate: Mapping[str, Any]) -> str:
    """Return the metadata as the file holds it."""
    return json.dumps(crate, indent=1, allow_nan=False) + "\n"


def _descriptor() -> Entity:
    return {
        "@id": FILE,
        "@type": "CreativeWork",
        "about": reference("./"),
        "conformsTo": reference(VERSION),
    }


def _root(record: Record, files: List[str], mentioned: List[str], scores: List[str]) -> Entity:
    final = record.final()
    author = {"author": reference(contextual("user", record.kit.user))} if record.kit.user else {}
    main = final and final.product.bytes is not None and reference(file_id(final.product.path))
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"A run of the reproduction kit of LEAP's 2nd place: {record.kind}",
        "description": _description(record),
        "datePublished": record.kit.made,
        "license": reference(LICENCE),
        "conformsTo": reference(PROFILE),
        "citation": references([SOLUTION, PAPER, DATA]),
        **author,
        **({"mainEntity": main} if main else {}),
        **({"hasPart": references(files)} if files else {}),
        **({"mentions": references(mentioned)} if mentioned else {}),
        **({"variableMeasured": references(scores)} if scores else {}),
    }


def _description(record: Record) -> str:
    count = f"{len(record.steps)} steps of {len(record.networks)} networks"
    when = f", {record.started} to {record.finished}" if record.finished else ""
    blend = f" The blend is {record.table}." if record.table else ""
    remarks = "".join(f" {remark.text}." for remark in record.remarks)
    return f"{count}{when}.{blend}{remarks}"


def _person(user: str) -> Entity:
    return {
        "@id": contextual("user", user),
        "@type": "Person",
        "name": user,
        "description": "who asked for the report of this run",
    }


def _network(network: Network, record: Record) -> Entity:
    """Return a network: its checkpoints, its artifact, its scores here and the published ones."""
    steps = [step for step in record.steps if step.name in network.steps]
    checkpoints = [
        file_id(step.product.path)
        for step in steps
        if step.kind == "training" and step.product.bytes is not None
    ]
    names = {network.name, network.artifact}
    scores = [_score_id(score) for score in record.scores if score.name in names]
    scores += [_published_id(network, rows) for rows in network.published]
    weight = f" Its weight in {record.table} is {network.weight!r}." if network.weight else ""
    return {
        "@id": contextual("network", network.name),
        "@type": "Collection",
        "name": network.name,
        "description": f"{network.artifact or 'no artifact'}: {network.state}.{weight}",
        **({"hasPart": references(checkpoints)} if checkpoints else {}),
        **({"additionalProperty": references(scores)} if scores else {}),
    }


def _scores(record: Record) -> Iterator[Entity]:
    for score in record.scores:
        yield _value(_score_id(score), f"R2 of {score.name} on {score.rows} rows", score.all)
    for network in record.networks:
        for rows, value in network.published.items():
            name = f"R2 of {network.name} as the team published it: {rows}"
            yield _value(_published_id(network, rows), name, value)


def _value(identifier: str, name: str, value: float) -> Entity:
    return {"@id": identifier, "@type": "PropertyValue", "name": name, "value": value}


def _score_id(score: Score) -> str:
    return contextual("score", score.rows, score.name)


def _published_id(network: Network, rows: str) -> str:
    return contextual("published", rows, network.name)
