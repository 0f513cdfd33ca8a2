"""What the package `leapkit` holds: the kit, and the networks and weight tables beside it.

In a clone these are the packages `members` and `blend` in the folder above. An image copies
`shared` alone, and mounts or copies the others to a folder of its own: there leapkit is all.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
BESIDE = [name for name in ("members", "blend") if (HERE.parent / name / "__init__.py").exists()]

packages = find_packages(str(HERE), include=["leapkit", "leapkit.*"])
for name in BESIDE:
    packages += find_packages(str(HERE.parent), include=[name, name + ".*"])

setup(
    packages=packages,
    package_dir={name: f"../{name}" for name in BESIDE},
    package_data={"leapkit": ["py.typed"], "blend": ["tables/*.csv", "*.html"]},
)
