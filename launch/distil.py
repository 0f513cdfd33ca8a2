"""make distil: a teacher predicts the training steps, a world is made of that, the student learns.

Below TO lie `labels` (what the teacher predicted), `world` (RAW_DATA of the student) and
`submission` (its results). Each is proven by its receipt and made again only if that does not hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional

from blend.naming import BlendName
from launch import emulated, emulating, registry, run, settings
from launch.blend_tools import WORLD, in_environment
from launch.emulated import Emulated
from launch.folders import require_writable
from launch.runtimes import image_runtimes
from launch.settings import Settings
from leapkit.core import prediction_inputs
from leapkit.core.errors import KitError, explain_os_errors
from leapkit.core.files import read_json
from leapkit.core.layout import Results
from leapkit.core.splits import with_training_months
from leapkit.core.step_files import list_months

STUDENT = "student/stack"
MEMBER, _ = STUDENT.split("/")
STEPS_AT_ONCE = 8192  # 9 GB of predictions, which a step of the command holds twice
_FOR_THE_STUDENT = ("RUNTIME", "STACK", "DEVICE", "PRECISION", "STEP_PRECISION")


def distil(requested: Mapping[str, str]) -> int:
    """Let TEACHER teach the student, and return the exit code. Raises KitError for a wrong name."""
    target = emulated.named(requested.get("TEACHER", ""), "distil", "TEACHER")
    source = emulating.choose(requested, target)
    to = Path(requested.get("TO") or source.results.root / "distilled" / target.file_name)
    to = to.absolute()
    months = _months(requested, source)
    _require_folder(to, source)
    student = _student(requested, source, to)
    image_runtimes.require(student, [MEMBER])
    labels = []
    for part in _parts(months):
        labels.append(to / "labels" / part[0].name)
        inputs = ",".join(str(month) for month in part)
        teaching = {"NETWORK": target.name, "INPUTS": inputs, "TO": str(labels[-1])}
        code = emulating.predict({**requested, **teaching})
        if code:
            return code
    code = make_world(source, labels, to)
    if code:
        return code
    code = run.run(student)
    if not code:
        run.show(_comparison(target, source.results, student))
    return code


def _months(requested: Mapping[str, str], source: Settings) -> List[Path]:
    """Return the folders of the months that the teacher predicts.

    They are the training months, and what INPUTS names beside them. Raises KitError if there are
    none, or if one of INPUTS validates or tests.
    """
    split = source.raw.split()
    months = [source.raw.steps / month for month in split.train]
    further = requested.get("INPUTS", "")
    for word in further.split(",") if further else []:
        folder = Path(word.strip())
        names = list_months(folder) if folder.is_dir() else []
        if not names:
            what = "is no folder of months (YYYY-MM) of step files"
            raise KitError(what, f"INPUTS={word}", "name one, or leave INPUTS out")
        with_training_months(split, names)
        months += [folder / name for name in names]
    for month in months:
        prediction_inputs.find([str(month)])
    return months


def _require_folder(to: Path, source: Settings) -> None:
    if to.exists() and not to.is_dir():
        raise KitError("is a file", f"TO={to}", "name a folder")
    remedy = "name a folder that you may write to with TO="
    require_writable(to, remedy)
    image_runtimes.prepare(source, to)
    with explain_os_errors(to, remedy):
        (to / "labels").mkdir(parents=True, exist_ok=True)


def _parts(months: List[Path]) -> Iterator[List[Path]]:
    """Yield the months in parts that are predicted at once: predictions must fit on a disk."""
    part: List[Path] = []
    steps = 0
    for month in months:
        count = len(prediction_inputs.find([str(month)]).steps)
        if part and steps + count > STEPS_AT_ONCE:
            yield part
            part, steps = [], 0
        part.append(month)
        steps += count
    yield part


def make_world(source: Settings, labels: List[Path], to: Path) -> int:
    """Make the teacher's world below `to` from what it predicted; return the exit code."""
    module = ["-m", "leapkit.worlds.teacher_world"]
    if not source.in_containers:
        folders = [f"--raw-data={source.raw.root}", f"--to={to / 'world'}"]
        return in_environment([*module, *folders, *(f"--labels={folder}" for folder in labels)])
    folders = ["--raw-data=/steps", f"--to={WORLD}/world"]
    inside = [f"--labels={WORLD}/{folder.relative_to(to)}" for folder in labels]
    mounts = {"LEAP_RAW_DATA_PARENT": to, "LEAP_STEPS": source.raw.root}
    return image_runtimes.on_world(source, [*module, *folders, *inside], mounts, to)


def _student(requested: Mapping[str, str], source: Settings, to: Path) -> Settings:
    """Return the choices of the student's run, which is one as any other."""
    values: Dict[str, str] = {
        **{name: requested[name] for name in _FOR_THE_STUDENT if name in requested},
        "PROFILE": source["PROFILE"],
        "RAW_DATA": str(to / "world"),
        "SUBMISSION": str(to / "submission"),
        "EXPERIMENTS": STUDENT,
        "TABLE": f"searched-{MEMBER}",
    }
    return settings.choose("reproduce", values)


def _comparison(target: Emulated, results: Results, student: Settings) -> List[str]:
    """Return a line on the student's R2 beside its teacher's, where both were scored."""
    artifact = registry.artifacts({MEMBER: registry.members()[MEMBER]})[0]
    if target.experiment:
        teacher = target.experiment.artifact
    else:
        teacher = "blend " + BlendName.parse(target.name).table
    before, after = _r2(results, teacher), _r2(student.results, artifact)
    if not (before and after):
        return []
    return [
        f"R2 over the 292 predicted targets: student {after:.5f}, teacher {before:.5f}:"
        f" {after / before:.1%} of it"
    ]


def _r2(results: Results, name: str) -> Optional[float]:
    """Return what a blend's table of scores says of a name, None if no table does."""
    for path in sorted(results.blend.glob("scores_*.json")):
        if not path.name.endswith(".receipt.json"):
            for row in read_json(path):
                if row["name"] == name:
                    return float(row["predicted"])
    return None
