"""Random changes of images that leave what they show."""

import math
import numbers

import torch
from torch import nn

from sklearn_deepcluster.nn._layers import Stochastic


class AffineJitter(Stochastic):
    """Images turned, scaled, sheared and shifted, each by its own random amounts.

    Amounts are uniform in their ranges. Where an image is looked at beyond its edge
    it has the value of the edge.

    Parameters
    ----------
    degrees : float, default=10.0
        Largest rotation.
    scale : float, default=0.1
        Largest change of size, as a share of it and below 1, of width and height alike.
    shear : float, default=0.1
        Largest shift of the top against the bottom edge, as a share of the height.
    translate : float, default=0.05
        Largest shift, as a share of width and height.

    Examples
    --------
    >>> import torch
    >>> from sklearn_deepcluster.nn import AffineJitter
    >>> AffineJitter(degrees=20)(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(self, degrees=10.0, scale=0.1, shear=0.1, translate=0.05):
        super().__init__()
        amounts = {"degrees": degrees, "scale": scale, "shear": shear, "translate": translate}
        for name, amount in amounts.items():
            limit = 1.0 if name == "scale" else math.inf
            if not isinstance(amount, numbers.Real) or not 0 <= amount < limit:
                raise ValueError(f"{name}={amount!r} is no number from 0 on, below {limit}.")
        self.degrees = degrees
        self.scale = scale
        self.shear = shear
        self.translate = translate

    def forward(self, x):
        """Change images x (b, channels, height, width)."""
        if x.ndim != 4:
            raise ValueError(
                f"AffineJitter got a batch of shape {tuple(x.shape)}; it expects images: "
                "(b, channels, height, width)."
            )
        draws = (
            torch.rand(5, len(x), generator=self.generator, device=x.device, dtype=x.dtype)
            .mul_(2)
            .sub_(1)
        )
        angle = draws[0] * math.radians(self.degrees)
        size = 1 + draws[1] * self.scale
        shear = draws[2] * self.shear
        ratio = x.shape[3] / x.shape[2]  # sides are -1 to 1, whatever their lengths
        cos, sin = angle.cos() / size, angle.sin() / size  # to where a pixel is looked up
        top = [cos, (shear * cos - sin) / ratio, 2 * self.translate * draws[3]]
        bottom = [sin * ratio, cos + shear * sin, 2 * self.translate * draws[4]]
        theta = torch.stack([torch.stack(top, 1), torch.stack(bottom, 1)], 1)
        grid = nn.functional.affine_grid(theta, x.shape, align_corners=False)
        return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)

    def extra_repr(self):
        amounts = (f"{name}={getattr(self, name)}" for name in ("degrees", "scale", "shear"))
        return ", ".join([*amounts, f"translate={self.translate}"])
