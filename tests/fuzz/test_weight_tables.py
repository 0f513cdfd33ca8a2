"""A thousand mutations of weight tables as CSV: the right weights, or one sentence."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Tuple

import pytest

from blend import published, tables
from blend.table_text import FIELDS_OF_SCOPE
from blend.tables import WeightTable
from leapkit.core.errors import KitError
from tests.fuzz.mutations import Mutate, mutations

COUNT = 1000
V10 = tables.find("v10")


def one_sentence(error: KitError, path: Path) -> bool:
    text = str(error)
    return str(path) in text and text.isprintable() and len(text) < 1200


def move_a_line(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(True)
    lines.insert(random.randrange(len(lines)), lines.pop(random.randrange(len(lines))))
    return b"".join(lines)


def change_a_digit(content: bytes, random: Random) -> bytes:
    digits = [k for k, byte in enumerate(content) if chr(byte).isdigit()]
    position = random.choice(digits)
    return content[:position] + b"%d" % random.randrange(10) + content[position + 1 :]


OF_TABLES: Tuple[Mutate, ...] = (move_a_line, change_a_digit)


@pytest.mark.parametrize("scope", ["all", "group"])
def test_a_mutated_table_of_the_kit_gives_its_own_weights_or_one_sentence(
    scope: str, tmp_path: Path
) -> None:
    fields = FIELDS_OF_SCOPE[scope]
    rows = [(name, *(weight / (1 + k) for k in range(len(fields)))) for name, weight in V10.rows]
    table = WeightTable("mine", tuple(rows), fields)
    path = tmp_path / "mine.csv"
    table.write(path)
    right = 0
    for content in mutations(path.read_bytes(), COUNT // 2, seed=12, more=OF_TABLES):
        path.write_bytes(content)
        try:
            assert tables.read(path) == table, content
            right += 1
        except KitError as error:
            assert one_sentence(error, path), error
    assert right < COUNT // 20  # as a BOM or another line end changes nothing


def test_a_mutated_table_of_a_user_is_a_table_that_is_described_or_one_sentence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "v10.csv"
    content = "artifact,weight\n" + "".join(f"{name},{weight!r}\n" for name, weight in V10.rows)
    tables_read = 0
    for mutated in mutations(content.encode(), COUNT, seed=13, more=OF_TABLES):
        path.write_bytes(mutated)
        try:
            table = tables.read(path)
        except KitError as error:
            assert one_sentence(error, path), error
            continue
        tables_read += 1
        lines = [line for line in mutated.decode("utf-8-sig").splitlines() if line.strip()]
        assert len(table.rows) == len(lines) - 1
        assert all(math.isfinite(weight) for _, weight in table.rows)
        said = published.describe(table)
        assert said.startswith(f"{len(table.rows)} rows, sum ") and said.isprintable()
        # Named as the published table, it is never silently another one.
        assert ("published weights v10" in said) and ("NOT" in said) == (
            sorted(table.rows) != sorted(V10.rows)
        )
    assert tables_read > COUNT // 20
