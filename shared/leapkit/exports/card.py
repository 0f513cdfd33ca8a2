"""The card beside exported files: what they take and give, how to load them, and what they are.

What it says of a network is what every card says (leapkit.core.model_cards).
"""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

from leapkit.core import card_prose, model_cards
from leapkit.core.columns import LEVELS, OUTPUT_SCALARS, TENDENCY_PROFILES
from leapkit.emulators.parts import EmulatorParts, NetworkParts
from leapkit.exports.contracts import CONTRACTS, Contract

_HEAD = """
# {name}

{what}.

{intended}## Outputs: 368, in this order

{outputs}

Level 0 is the model top. Water and wind of levels 0 to 11 are 0; cloud liquid of levels 12 to 27
is -state_q0002 / 1200 s, as in the data.

"""
_ARITHMETIC = """\
## Arithmetic

Inputs and outputs are float32. Inside, inputs are standardised in float64, the networks compute in
float32, and their outputs are brought to raw units, summed and constrained in float64. Cloud liquid
below 1e-38 kg/kg/s becomes 0 in float32. Rows are independent: one of zeros gives finite numbers,
one that holds a NaN gives NaN. Any number of rows and any strides will do. Constraints that the
files hold: {constraints}.

{differences}
Attention is written out in the files, as fused kernels differ between versions: against the kit's
own prediction that moves an output by some 1e-6 of its range. TorchScript of torch 1.10 and 1.12
fuses operations from the second call on, which moves roundings by as much.

"""
_LOADING = """\
## Loading

Python: `torch.jit.load("{file}.pt")(x)`, `torch.export.load("{file}.pt2").module()(x)`,
`onnxruntime.InferenceSession("{file}.onnx").run(None, {{"x": x}})`. With the kit:
`leapkit.load("{name}", weights="{file}.safetensors")`.

C++: `torch::jit::load("{file}.pt").forward({{x}}).toTensor()`; with `torch::kCUDA` as the second
argument of `load` it runs on a GPU.

The `.pt2` file is bound to the CPU: `torch.export.passes.move_to_device_pass` moves it.

Fortran: FTorch's `torch_model_load(model, "{file}.pt", torch_kCPU)`; E3SM with `{file}.nml`.

"""
_MADE_OF = """
## Made of

{provenance}
"""


def text(
    parts: EmulatorParts, stem: str, record: Mapping[str, str], differences: Mapping[str, float]
) -> str:
    """Return the card as Markdown.

    stem         of the files' names
    record       attributes.provenance of the parts
    differences  of each file to the network, in standard deviations of a target
    """
    rows = [(n, u, LEVELS) for n, u in TENDENCY_PROFILES] + [(n, u, 1) for n, u in OUTPUT_SCALARS]
    head = _HEAD.format(
        name=parts.name,
        what=_what(parts),
        intended=card_prose.INTENDED,
        outputs=_table(rows),
    )
    arithmetic = _ARITHMETIC.format(
        constraints=record["constraints"], differences=_differences(differences)
    )
    loading = _LOADING.format(name=parts.name, file=stem)
    return (
        model_cards.front_matter(parts.name, [])
        + head
        + "".join(_inputs(contract) for contract in CONTRACTS.values())
        + arithmetic
        + loading
        + "".join(map(_network, parts.networks))
        + card_prose.LIMITS
        + card_prose.LICENCE
        + card_prose.CITATION
        + _MADE_OF.format(provenance=_provenance(record))
    )


def _network(part: NetworkParts) -> str:
    return model_cards.described(model_cards.row(part.experiment, part.profile))


def _what(parts: EmulatorParts) -> str:
    names = [network.experiment.name for network in parts.networks]
    if len(names) > 1:
        return f"A weighted sum of {len(names)} networks ({', '.join(names)})"
    copies = len(parts.networks[0].checkpoints)
    return f"The network {names[0]}" + (
        f", {copies} copies of it, of which each gives a group of outputs" if copies > 1 else ""
    )


def _inputs(contract: Contract) -> str:
    title = {
        "coupled": "as the coupled model gives them (`cb_nn_var_combo = 'v2'`): all files but one",
        "kaggle": "Kaggle's: `.kaggle.pt`",
    }[contract.name]
    return f"## Inputs: {len(contract.inputs)}, {title}\n\n{_table(contract.variables())}\n\n"


def _table(variables: Sequence[Tuple[str, str, int]]) -> str:
    lines = ["| positions from 0 | variable | unit |", "|---|---|---|"]
    start = 0
    for name, unit, width in variables:
        positions = f"{start} to {start + width - 1}" if width > 1 else str(start)
        lines.append(f"| {positions} | `{name}` | {unit} |")
        start += width
    return "\n".join(lines)


def _differences(differences: Mapping[str, float]) -> str:
    """Say how far each file is from the network that it was made of."""
    if not differences:
        return ""
    lines = ["Each file was read again and compared with the network on seven rows:", ""]
    lines += ["| file | largest difference, in standard deviations of a target |", "|---|---|"]
    lines += [f"| `{name}` | {value:.1e} |" for name, value in differences.items()]
    return "\n".join(lines) + "\n"


def _provenance(record: Mapping[str, str]) -> str:
    return "\n".join(f"* {name}: `{value}`" for name, value in record.items())
