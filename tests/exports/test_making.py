"""make export's own command: what is proven is not made again, what is missing is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

import pytest

pytest.importorskip("torch")

from leapkit.core import receipts
from leapkit.emulators import __main__ as command_line
from tests.helpers.refusals import refused

pytestmark = pytest.mark.process


def test_an_export_goes_on_with_the_formats_that_are_missing_and_then_has_nothing_to_do(
    submission: Path, tiny_world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def said(*more: str) -> List[str]:
        words = ["--network=adam/195", f"--weights={submission}", f"--raw-data={tiny_world}"]
        command_line.main(["export", *words, f"--to={tmp_path}", *more])
        return capfd.readouterr().out.splitlines()

    safe, script = tmp_path / "adam-195.safetensors", tmp_path / "adam-195.pt"
    card = tmp_path / "adam-195.md"
    line, seconds = said("--formats=safetensors")
    assert re.fullmatch(rf"{safe.name}: 3\d\d kB, differs by at most .* deviations", line)
    assert re.fullmatch(r"safetensors: written in \d+\.\d s", seconds)
    assert [line.split(": ")[0] for line in said("--formats=torchscript,safetensors")] == [
        *(script.name, "adam-195.kaggle.pt", "adam-195.nml", "torchscript"),
    ]
    text = card.read_text()
    assert safe.name in text and script.name in text
    files = receipts.read(card)["details"]["files"]
    assert files[script.name]["bytes"] == script.stat().st_size
    again = said("--formats=safetensors,torchscript")
    assert again == [f"nothing to do: {card}: its receipt proves all files"]
    safe.unlink()
    assert len(said("--formats=safetensors,torchscript")) == 2 and safe.exists()
    assert len(said("--formats=safetensors", "--postprocess=night")) == 2


def test_what_cannot_be_exported_is_refused(
    submission: Path, tiny_world: Path, tmp_path: Path
) -> None:
    words = ["--network=adam/195", f"--weights={submission}", f"--raw-data={tiny_world}"]
    with refused("FORMATS=hdf", "no such format: hdf"):
        command_line.main(["export", *words, f"--to={tmp_path}", "--formats=hdf"])
    with refused("POSTPROCESS=sun", "is no constraint: sun"):
        command_line.main(["export", *words, f"--to={tmp_path}", "--postprocess=sun"])
