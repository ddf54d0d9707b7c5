from __future__ import annotations

import torch
from torch.nn import functional as F

from fcnlab.core.networks.blocks import DoublingConvolution


def test_a_doubling_convolution_starts_as_bilinear_interpolation_up_to_the_border():
    scores = torch.randn(2, 3, 5, 8)

    doubled = DoublingConvolution(3)(scores)

    wanted = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    assert doubled.shape == (2, 3, 10, 16)
    assert torch.allclose(doubled, wanted, atol=1e-6)


def test_a_doubling_convolution_learns():
    doubling = DoublingConvolution(3)

    doubling(torch.randn(1, 3, 5, 8)).square().sum().backward()

    assert all(one.grad is not None and bool(one.grad.any()) for one in doubling.parameters())


def matrix_of_convolution(kernel: torch.Tensor, fine_hw: tuple[int, int], *, padding: int) -> torch.Tensor:
    """(coarse pixels, fine pixels): the convolution of stride 2 with this kernel, entry by entry."""
    (height, width), size = fine_hw, len(kernel)
    coarse_hw = ((height + 2 * padding - size) // 2 + 1, (width + 2 * padding - size) // 2 + 1)
    matrix = torch.zeros(*coarse_hw, height, width)
    for row in range(coarse_hw[0]):
        for col in range(coarse_hw[1]):
            for down in range(size):
                for across in range(size):
                    fine_row, fine_col = 2 * row + down - padding, 2 * col + across - padding
                    if 0 <= fine_row < height and 0 <= fine_col < width:
                        matrix[row, col, fine_row, fine_col] = kernel[down, across]
    return matrix.reshape(coarse_hw[0] * coarse_hw[1], height * width)


def test_a_transposed_convolution_multiplies_by_the_transposed_matrix_of_the_convolution():
    doubling = DoublingConvolution(1)
    torch.nn.init.normal_(doubling.deconvolution.weight)
    kernel = doubling.deconvolution.weight.detach()[0, 0]
    matrix = matrix_of_convolution(kernel, (6, 10), padding=3)
    fine, scores = torch.randn(1, 1, 6, 10), torch.randn(1, 1, 3, 5)

    convolved = F.conv2d(fine, kernel[None, None], stride=2, padding=3)
    doubled = doubling(scores)

    assert torch.allclose(matrix @ fine.flatten(), convolved.flatten(), atol=1e-5)
    bordered = F.pad(scores, (1, 1, 1, 1), mode="replicate")
    assert torch.allclose(matrix.T @ bordered.flatten(), doubled.flatten(), atol=1e-5)
