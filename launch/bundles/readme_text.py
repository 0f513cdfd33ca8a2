"""The README.txt of a bundle: what it is, what it needs, and the commands, for who has no kit."""

from __future__ import annotations

from launch.bundles import code_archive, scope
from launch.bundles.manifests import SUMS, Manifest
from launch.runtimes import engine

FILE = "README.txt"
_TEXT = """\
The kit of LEAP's 2nd place, version {code}, for a machine without a network.

Runtime {runtime}, stack {stack}, for {accelerator}, processor {machine}.
It needs {needs}.

In this folder, then where the kit is to live, then in the kit:

    sha256sum --check --quiet {sums}
    tar xf {archive} -C /where/it/shall/live
    cd /where/it/shall/live/{top}
    make unbundle BUNDLE=/this/folder
    {command}

Data, statistics and checkpoints are yours and not in it: copy them to raw_data and to
members/<name>/weights. Without data, `make reproduce` makes a sample world and uses that.
"""


def text(manifest: Manifest) -> str:
    """Return the text for a bundle."""
    needs = ["make", "Python 3.8 or newer (make PYTHON=path names one)"]
    needs += [f"python{version}" for version in manifest.pythons]
    if manifest.glibc:
        needs.append(f"glibc {manifest.glibc} or newer")
    if manifest.runtime == "docker":
        needs.append(engine.needed())
    if manifest.runtime == "apptainer":
        needs.append("Apptainer or Singularity")
    return _TEXT.format(
        code=manifest.code or "of no commit",
        runtime=manifest.runtime,
        stack=manifest.stack,
        accelerator=manifest.accelerator,
        machine=manifest.machine,
        needs=", ".join(needs),
        sums=SUMS,
        archive=code_archive.FILE,
        top=code_archive.TOP,
        command=scope.command(manifest),
    )
