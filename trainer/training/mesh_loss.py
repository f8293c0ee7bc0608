"""The loss of where a face's points are seen: lids, lips and heads as far as they should be.

The network that the landmarks of the data come from looks at the drawn face and at the true one, in
the same window, so that what it gets wrong it gets wrong in both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fsh.schemas.mesh import MESH_POINTS
from fsh.trainer.models.mesh_network import face_windows, look

#: Faces of a batch that are looked at; the others would cost more than they teach.
_LOOKED_AT = 1
#: Distances are counted in this part of the window's side.
_UNIT = 0.01


def mesh_loss(network: nn.Module, fake: Tensor, images: Tensor, points: Tensor) -> Tensor:
    """Mean absolute difference of the points seen in both, x, y and depth, in hundredths of the
    window's side; a scalar.

    Args:
        network: :class:`~fsh.trainer.models.mesh_network.MeshNetwork`.
        fake, images: (B, 3, P, P) in −1…1.
        points: (B, 478, 3), the true meshes in shares of the picture; of landmarks nothing is seen.
    """
    if points.shape[1] != MESH_POINTS:
        return fake.new_zeros(())
    fake, images, points = (part[:_LOOKED_AT].float() for part in (fake, images, points))
    with torch.no_grad():
        windows = face_windows(points)
        wanted = look(network, images, windows)
    return (look(network, fake, windows) - wanted).abs().mean() / _UNIT
