"""Images go to another machine in a bundle, and nothing is built or pulled there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import List

import pytest

from launch.runtimes import stacks
from tests.helpers.small_kit import make, offline, plain, small_kit

pytestmark = [pytest.mark.end_to_end, pytest.mark.docker]

DOCKERFILE = """\
FROM {base}
RUN mkdir -p /opt/leap/leapkit && touch /opt/leap/leapkit/__init__.py && \\
    echo 'print("made by an image of the bundle")' >/opt/leap/leapkit/sampleworld.py
ENV PYTHONPATH=/opt/leap
COPY shared/leapkit/core/errors.py /opt/leap/
"""


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """Return a kit whose images are small and have names of their own."""
    root = small_kit(tmp_path / "kit", "")
    compose = root / "compose.yaml"
    name = f"bundle-{os.getpid()}-"
    compose.write_text(re.sub(r"(image: (&\w+ )?)leap-", rf"\1{name}", compose.read_text()))
    dockerfile = DOCKERFILE.format(base=stacks.base_image(stacks.BLEND_PYTHON))
    for path in ("members/joseph/Dockerfile", "blend/Dockerfile", "containers/emulator.Dockerfile"):
        (root / path).write_text(dockerfile)
    return root


def images_of(kit: Path) -> List[str]:
    name = re.search(r"bundle-\d+-", (kit / "compose.yaml").read_text())
    assert name
    listed = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]
    done = subprocess.run(listed, check=True, capture_output=True, text=True)
    return [image for image in done.stdout.split() if image.startswith(name[0])]


def remove_images(kit: Path) -> None:
    subprocess.run(["docker", "rmi", "--force", *images_of(kit)], capture_output=True)


def test_images_of_a_bundle_are_loaded_and_used_without_a_build(kit: Path, tmp_path: Path) -> None:
    unshared = offline()
    folder = tmp_path / "bundle"
    chosen = {"RUNTIME": "docker", "STACK": "modern", "EXPERIMENTS": "joseph/907"}
    try:
        text = make(kit, "bundle", [], plain(), BUNDLE=str(folder), DEVICE="cpu", **chosen)
        assert text.startswith("0 ") and len(images_of(kit)) == 3
        assert len(list((folder / "sbom").iterdir())) == 3  # what each image holds
        written = (folder / "images.tar").stat().st_mtime_ns
        text = make(kit, "bundle", [], plain(), BUNDLE=str(folder), DEVICE="cpu", **chosen)
        assert "nothing to do" in text and (folder / "images.tar").stat().st_mtime_ns == written
        subprocess.run(
            ["docker", "rmi", "--force", *images_of(kit)], check=True, capture_output=True
        )
        # on the other machine
        subprocess.run(["tar", "xf", str(folder / "code.tar"), "-C", str(tmp_path)], check=True)
        there = tmp_path / "leap-kit"
        text = make(there, "unbundle", unshared, plain(), BUNDLE=str(folder))
        assert text.startswith("0 ") and len(images_of(kit)) == 3
        text = make(there, "world", unshared, plain(), RUNTIME="docker")
        assert text.startswith("0 ") and "made by an image of the bundle" in text
        assert "the images of blend are those of the bundle" in text and "building" not in text
        network = {
            "NETWORK": "joseph/907",
            "WEIGHTS": str(there / "907.pt"),
            "RAW_DATA": str(there),
        }
        (there / "907.pt").touch()
        (there / "any.nc").touch()
        network.update(RUNTIME="docker", STACK="modern", DEVICE="cpu", INPUTS=str(there / "any.nc"))
        text = make(there, "predict", unshared, plain(), **network)
        assert "the images of emulator are those of the bundle" in text
        # other code than that of the images
        with (there / "shared" / "leapkit" / "core" / "errors.py").open("a") as code:
            code.write("# changed\n")
        text = make(there, "world", unshared, plain(), RUNTIME="docker")
        assert "building the images of blend" in text
    finally:
        remove_images(kit)
