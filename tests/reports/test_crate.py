"""The crate of a real run is valid to the public validator, and says what made what."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from urllib.parse import unquote

import pytest

pytest.importorskip("torch")
pytest.importorskip("rocrate_validator")

from leapkit.core import receipts
from leapkit.core.files import sha256
from reports import __main__ as command_line
from reports import crate
from tests.helpers import crates, small_run

pytestmark = pytest.mark.process

# What the kit cannot say: it has no address in the web, and nobody told it who employs its user.
UNMET = {
    "The Application SHOULD have a url",
    "The ContainerImage SHOULD have a registry",  # it was built here
    "The SoftwareApplication id SHOULD be an absolute URI",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
    "The author SHOULD have an organizational affiliation.",
    "The author SHOULD have a Contextual Entity which specifies the organizational `affiliation`.",
}
USER = "Åse Müller"
DOCKER = "leap-adam:published-cpu"
SIF = f"{DOCKER} sif sha256:{'a' * 64}"  # as receipts name them
ODD = "a name, with 100 % of it"  # a network's folder may have any


@pytest.fixture(scope="module")
def run(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of networks that were trained and applied, with their report."""
    root = tmp_path_factory.mktemp("run") / "submission"
    shutil.copytree(str(trained_once), str(root))
    parquet = root / "subs" / f"{ODD}.parquet"  # admitted by hand, under a name of its user's
    shutil.copy(root / "subs" / small_run.PARQUET, parquet)
    receipts.write(parquet, "admitted", {"test.csv": "0" * 64}, receipts.now(), {})
    in_image(root / "outputs" / "adam" / "200" / "200.pt", DOCKER)
    in_image(root / "subs" / small_run.PARQUET, SIF)
    report(root)
    return root


def in_image(product: Path, image: str) -> None:
    """Let a step have run in a container."""
    path = receipts.receipt_path(product)
    receipt = json.loads(path.read_text())
    receipt["environment"]["image"] = image
    path.write_text(json.dumps(receipt))


def report(root: Path) -> None:
    asked = root.parent / "asked"
    asked.mkdir(exist_ok=True)
    known = {"kit": {"user": USER, "code": "1234567"}, "place": "report"}
    (asked / "asked.json").write_text(json.dumps(known))
    words = [f"--submission={root}", f"--asked={asked}", f"--to={root / 'report'}"]
    assert command_line.main(words) == 0
    (root / "report" / "crate.json").rename(root / crate.FILE)  # as the launcher does


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crates.cache(tmp_path_factory.mktemp("pages") / "cache")


@pytest.fixture(scope="module")
def graph(run: Path) -> List[Dict[str, Any]]:
    entities: List[Dict[str, Any]] = json.loads((run / crate.FILE).read_text())["@graph"]
    return entities


def of_type(graph: List[Dict[str, Any]], kind: str) -> Iterator[Dict[str, Any]]:
    return (entity for entity in graph if entity["@type"] == kind)


def test_the_public_validator_finds_a_run_valid_and_misses_only_what_nobody_told(
    run: Path, pages: Path
) -> None:
    found = crates.issues(run, pages)
    assert found["REQUIRED"] == set()
    assert found["RECOMMENDED"] == UNMET


def test_the_archive_is_valid_too_and_holds_no_data(run: Path, pages: Path) -> None:
    archive = run / "report" / "crate.zip"
    assert crates.issues(archive, pages)["REQUIRED"] == set()
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        told = json.loads(opened.read(crate.FILE))["@graph"]
    assert {Path(name).suffix for name in names} <= {".json", ".txt", ".csv", ".html", ".md"}
    assert "outputs/adam/200/200.receipt.json" in names and "report/index.html" in names
    [checkpoint] = [each for each in told if each.get("name") == "outputs/adam/200/200.pt"]
    assert checkpoint["@type"] == "CreativeWork"
    assert checkpoint["sha256"] == sha256(run / "outputs/adam/200/200.pt")


Change = Callable[[List[Dict[str, Any]], Path], None]


def without(kind: str, *properties: str) -> Change:
    def change(graph: List[Dict[str, Any]], _: Path) -> None:
        for entity in of_type(graph, kind):
            for name in properties:
                entity.pop(name, None)

    return change


def without_a_file(_: List[Dict[str, Any]], root: Path) -> None:
    (root / "outputs/adam/200/200.pt").unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("CreateAction", "instrument"), "The Action MUST have an instrument"),
        (without("Dataset", "conformsTo"), "The Root Data Entity MUST reference a CreativeWork"),
        (without("Dataset", "license"), "The Root Data Entity MUST have a `license`"),
        (without_a_file, "outputs/adam/200/200.pt"),
    ],
    ids=["instrument", "profile", "licence", "file"],
)
def test_the_validator_refuses_a_crate_without_what_is_required(
    run: Path, pages: Path, tmp_path: Path, change: Change, message: str
) -> None:
    root = tmp_path / "changed"
    shutil.copytree(str(run), str(root))
    metadata = json.loads((root / crate.FILE).read_text())
    change(metadata["@graph"], root)
    (root / crate.FILE).write_text(json.dumps(metadata))
    assert any(message in each for each in crates.issues(root, pages)["REQUIRED"])


def test_each_receipt_is_an_action_with_what_it_was_made_of(
    run: Path, graph: List[Dict[str, Any]]
) -> None:
    actions = {each["name"]: each for each in of_type(graph, "CreateAction")}
    by_id = {each["@id"]: each for each in graph}
    assert len(actions) == len(list(run.rglob("*.receipt.json")))
    inferred = actions["infer adam/200"]
    inputs = [by_id[each["@id"]] for each in inferred["object"]]
    receipt = receipts.read(run / "subs" / small_run.PARQUET)
    values = [each.get("sha256") or each["value"] for each in inputs]
    assert sorted(values) == sorted(receipt["inputs"].values())
    [checkpoint] = [each for each in inputs if each["@type"] == "File"]
    assert checkpoint["@id"] == "outputs/adam/200/200.pt"
    assert (
        inferred["startTime"] == receipt["started"] and inferred["endTime"] <= receipt["finished"]
    )
    made = [each["@id"] for each in inferred["result"]]
    assert f"subs/{small_run.PARQUET}" in made
    software = by_id[inferred["instrument"]["@id"]]
    assert software["name"].startswith("members/adam")
    required = {by_id[each["@id"]]["name"] for each in software["softwareRequirements"]}
    assert {"Python", "torch", "numpy", "pyarrow"} <= required
    usage = {by_id[each["@id"]]["name"] for each in list_of(inferred["resourceUsage"])}
    assert "seconds" in usage
    assert by_id[inferred["agent"]["@id"]]["name"] == USER


def list_of(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]


def test_a_parquet_that_was_admitted_was_checked_and_not_made(graph: List[Dict[str, Any]]) -> None:
    [admitted] = [a for a in of_type(graph, "CreateAction") if "admit" in a["name"]]
    checked = f"subs/{ODD}.parquet"
    assert checked in [unquote(each["@id"]) for each in list_of(admitted["object"])]
    assert checked not in [unquote(each["@id"]) for each in list_of(admitted["result"])]


def test_every_file_that_is_named_exists_and_is_the_one_that_is_meant(
    run: Path, graph: List[Dict[str, Any]]
) -> None:
    named = {unquote(each["@id"]): each for each in of_type(graph, "File")}
    for path, entity in named.items():
        assert (run / path).is_file(), path
        if "sha256" in entity:
            assert entity["sha256"] == sha256(run / path), path
            assert entity["contentSize"] == str((run / path).stat().st_size)
    assert f"subs/{ODD}.parquet" in named and "report/index.html" in named
    assert " " not in "".join(each["@id"] for each in graph)


def test_every_reference_leads_to_an_entity(graph: List[Dict[str, Any]]) -> None:
    def pointed(value: Any) -> Iterator[str]:
        if isinstance(value, list):
            for item in value:
                yield from pointed(item)
        elif isinstance(value, dict):
            yield value["@id"]

    elsewhere = {crate.VERSION, f"{crate.TERMS}DockerImage", f"{crate.TERMS}SIFImage"}
    known = {each["@id"] for each in graph} | elsewhere
    assert len(known) == len(graph) + len(elsewhere)
    for entity in graph:
        for name, value in entity.items():
            if not name.startswith("@"):
                assert set(pointed(value)) <= known, (entity["@id"], name)


def test_every_term_has_a_meaning(graph: List[Dict[str, Any]]) -> None:
    known = {*crates.terms(), *crate.ADDED}
    for entity in graph:
        assert {name for name in entity if not name.startswith("@")} <= known, entity["@id"]
        assert entity["@type"] in known


def test_the_archive_holds_nothing_that_a_link_points_to(run: Path, tmp_path: Path) -> None:
    """A log of anybody's may be a link to a file of whoever makes the report."""
    from reports import portable_crate

    copy = tmp_path / "copy"
    shutil.copytree(str(run), str(copy))
    (tmp_path / "private.txt").write_text("a secret")
    (copy / "outputs/adam/200/log.txt").unlink()
    (copy / "outputs/adam/200/log.txt").symlink_to(tmp_path / "private.txt")
    portable_crate.write(json.loads((copy / crate.FILE).read_text()), copy, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as opened:
        names = opened.namelist()
    assert "outputs/adam/200/log.txt" not in names and "outputs/adam/200/history.json" in names


def test_the_same_run_gives_the_same_archive(run: Path, tmp_path: Path) -> None:
    from reports import portable_crate

    metadata = json.loads((run / crate.FILE).read_text())
    for name in ("a.zip", "b.zip"):
        portable_crate.write(metadata, run, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
