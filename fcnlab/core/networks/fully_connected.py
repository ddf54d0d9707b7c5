"""An encoder-decoder with fully connected layers in the middle: the other baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.networks.blocks import WIDEST, ConvBlock
from fcnlab.core.networks.sampling import cropped, padded
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.errors import InvalidSetting, NetworkSizeMismatch

HALVINGS = 5
CODE = 8
"""Numbers between the fully connected layers, in widths: all that is kept of a picture."""


class FullyConnected(PointNetwork):
    """Convolutions down to stride 32, a code that two fully connected layers make and read, and the way back up.

    Takes pictures of `spec.input_hw` only: each weight of a fully connected layer belongs to one place of the picture.
    Nothing but the code reaches the decoder, so borders are lost, and what is learned in one place holds only there.
    This is what a fully convolutional network does without.

    References: Hinton and Salakhutdinov 2006, Science 313:504 (a code between encoder and decoder); Pinheiro,
    Collobert, Dollar 2015, arXiv:1506.06204 (masks from fully connected layers).

    Raises:
        InvalidSetting: `spec` has no input_hw.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        if spec.input_hw is None:
            raise InvalidSetting(f"{spec.network} takes images of one size only: set input_hw to height and width")
        self.input_hw = spec.input_hw
        self.cells = tuple(-(-side // 2**HALVINGS) for side in spec.input_hw)
        channels = [spec.width * min(2**i, WIDEST // 4) for i in range(HALVINGS)]
        n_cells, code = channels[-1] * self.cells[0] * self.cells[1], CODE * spec.width
        before = [3, *channels[:-1]]
        self.down = nn.Sequential(
            *(
                nn.Sequential(ConvBlock(width, out), nn.MaxPool2d(2))
                for width, out in zip(before, channels, strict=True)
            )
        )
        self.write = nn.Linear(n_cells, code)
        self.read = nn.Linear(code, n_cells)
        after = [channels[0], *channels[:-1]]
        self.up = nn.Sequential(
            *(
                nn.Sequential(nn.ConvTranspose2d(width, out, 2, stride=2), ConvBlock(out, out))
                for width, out in zip(reversed(channels), reversed(after), strict=True)
            )
        )
        self.score = nn.Conv2d(channels[0], self.n_raw, 1)

    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pictures (B, 3, H, W), RGB in 0..1.

        Raises:
            NetworkSizeMismatch: the pictures are not of the one size it takes.
        """
        if tuple(rgb.shape[2:]) != self.input_hw:
            raise NetworkSizeMismatch(
                f"{NetworkName.FULLY_CONNECTED} takes images of {self.input_hw[0]} x {self.input_hw[1]} pixels, got "
                f"{rgb.shape[2]} x {rgb.shape[3]}: scale or crop them to that size, or choose a network that takes any"
            )
        maps = self.down(self.normalised(padded(rgb, 2**HALVINGS)))
        code = torch.relu(self.write(maps.flatten(1)))
        maps = torch.relu(self.read(code)).view(rgb.shape[0], -1, *self.cells)
        logits: Tensor = self.output(cropped(self.score(self.up(maps)), rgb))
        return logits
