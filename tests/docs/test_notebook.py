"""The notebook goes from step files to a map, in a kernel of its own and without a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, List

import pytest

from tests.conftest import REPOSITORY
from tests.helpers.untrained import untrained

pytestmark = pytest.mark.process

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("matplotlib")

NOTEBOOK = REPOSITORY / "docs" / "notebooks" / "from_step_files_to_a_map.ipynb"


def code_cells(notebook: Any) -> List[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def stored() -> Any:
    return nbformat.read(str(NOTEBOOK), as_version=4)


def outputs(cells: List[Any], kind: str) -> List[str]:
    """Return all outputs of a kind: text of a stream, or what a MIME type shows."""
    found = [output for cell in cells for output in cell.outputs]
    streams = [output.text for output in found if output.get("name") == kind]
    return streams + [output.data[kind] for output in found if kind in output.get("data", {})]


def test_it_is_stored_as_ten_cells_that_were_not_run(stored: Any) -> None:
    cells = code_cells(stored)
    assert len(cells) <= 10
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_every_cell_runs_and_the_last_one_shows_a_map(
    stored: Any, tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a clone as `make reproduce` leaves it, but for networks that were not trained."""
    import nbclient

    folder = tmp_path / "docs" / "notebooks"
    folder.mkdir(parents=True)
    (tmp_path / "raw_data").mkdir()
    (tmp_path / "raw_data" / "sample").symlink_to(tiny_world)
    untrained("adam/197", tmp_path / "submission" / "outputs" / "adam" / "197")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY / "shared"), str(REPOSITORY)]))
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    # No address but this machine's answers: what a cell fetched would fail.
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    notebook = nbclient.NotebookClient(
        stored, timeout=120, resources={"metadata": {"path": str(folder)}}, kernel_name="python3"
    ).execute()
    cells = code_cells(notebook)
    assert outputs(cells, "stderr") == []
    [printed] = outputs(cells, "stdout")
    assert printed.startswith("96 rows, R2 as Kaggle counts it: ")
    shown = "\n".join(outputs(cells, "text/plain"))
    assert "<leapkit.Emulator adam/197: 1 network" in shown
    assert "cam_out_PRECC" in shown and "checkpoints_sha256" in shown
    assert len(outputs(cells, "image/png")) == 3
    assert outputs(cells[-1:], "image/png")
