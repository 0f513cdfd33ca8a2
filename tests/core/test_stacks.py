"""A stack is an interpreter and a torch, and its name is that of its locks."""

from __future__ import annotations

import pytest

from leapkit.core.stacks import MODERN, TORCH_1_10, TORCH_1_12, Stack


def test_a_stacks_name_says_its_python_and_its_torch() -> None:
    names = [stack.name for stack in (TORCH_1_10, TORCH_1_12, MODERN)]
    assert names == ["py38-torch1.10", "py310-torch1.12", "py311-torch2.13"]


@pytest.mark.parametrize("python, torch", [("3", "torch1.10"), ("3.8", "1.10"), ("py38", "torch1")])
def test_a_stack_that_is_not_a_python_and_a_torch_is_refused(python: str, torch: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        Stack(python, torch)
