"""The namelist block that a coupled run of E3SM needs beside the TorchScript file."""

from __future__ import annotations

from typing import Sequence

from leapkit.core.columns import TARGETS
from leapkit.exports.contracts import COUPLED

_BLOCK = """\
! Append to user_nl_eam of an E3SM case that was built with the MMF_NN_EMULATOR option
! (NVlabs/E3SM, components/eam/src/physics/cam/mmf_nn_emulator.F90). Write the file's absolute path.
! In the FTorch form (peterukk/climsim-online) cb_use_cuda = .true. puts the network on a GPU.
&mmf_nn_emulator_nl
 inputlength = {inputs}
 outputlength = {outputs}
 cb_nn_var_combo = 'v2'
 input_rh = .false.
 cb_torch_model = '{file}'
 cb_spinup_step = 5
 cb_strato_water_constraint = {stratosphere}
 cb_partial_coupling = .false.
 cb_do_ramp = .false.
/
"""


def block(file: str, constraints: Sequence[str]) -> str:
    """Return the block for a TorchScript file.

    The coupled model applies its own stratosphere constraint, unless the file holds it already.
    """
    return _BLOCK.format(
        inputs=len(COUPLED.inputs),
        outputs=len(TARGETS),
        file=file,
        stratosphere=".false." if "stratosphere" in constraints else ".true.",
    )
