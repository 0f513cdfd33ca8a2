"""The numbers of networks that several members built; leapkit.nets.residual_lstm builds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Tuple

from leapkit.core import multiplications as of


@dataclass(frozen=True)
class ResidualStack:
    """K bidirectional LSTMs in series, each followed by a LayerNorm, some with a skip.

    Source: docs/reference/models.md, "Residual stack". Layers are counted from 0.

    layers       K
    hidden       LSTM units per direction
    gelu         layers whose LayerNorm is followed by GELU
    residual     layers that mix: x = GELU(keep * x + carry * last), and last = x
    saved        layers without a mix whose output becomes `last`
    keep, carry  of the mix
    mamba_state  states of a Mamba layer after every LSTM; 0 for none
    named_init   initialisation by parameter name (leapkit.nets.blocks.initialise_by_name), else
                 torch's default

    Raises ValueError if the fields contradict each other.
    """

    layers: int
    hidden: int
    gelu: Tuple[int, ...]
    residual: Tuple[int, ...]
    saved: Tuple[int, ...]
    keep: float
    carry: float
    mamba_state: int = 0
    named_init: bool = False

    def __post_init__(self) -> None:
        if min(self.layers, self.hidden) < 1 or self.mamba_state < 0:
            raise ValueError(f"{self}: widths are at least 1")
        if not set(self.gelu) | set(self.residual) | set(self.saved) <= set(range(self.layers)):
            raise ValueError(f"{self}: a layer does not exist")
        if set(self.residual) & set(self.saved):
            raise ValueError(f"{self}: a layer is mixed or saved, not both")
        if self.residual and not (self.saved and min(self.saved) < min(self.residual)):
            raise ValueError(f"{self}: nothing is saved before the first mix")

    @property
    def multiplications(self) -> int:
        """Those of a forward pass of one row (leapkit.core.multiplications)."""
        width = 2 * self.hidden
        lstms = of.lstm(of.CHANNELS, self.hidden) + (self.layers - 1) * of.lstm(width, self.hidden)
        mambas = self.layers * of.mamba(width, self.mamba_state) if self.mamba_state else 0
        return lstms + mambas + of.linear(width, of.OUTPUTS)

    def narrower(self, layers: int, hidden: int) -> ResidualStack:
        """Return the same network with fewer and narrower layers, for small worlds."""

        def remaining(chosen: Tuple[int, ...]) -> Tuple[int, ...]:
            return tuple(layer for layer in chosen if layer < layers)

        return replace(
            self,
            layers=layers,
            hidden=hidden,
            gelu=remaining(self.gelu),
            residual=remaining(self.residual),
            saved=remaining(self.saved),
            mamba_state=min(self.mamba_state, 8),
        )
