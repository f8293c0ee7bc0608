"""A head for tests: a mesh that is a smooth solid, turned and placed as wished."""

from __future__ import annotations

import numpy as np
import torch

from fsh.schemas.faces.mesh import MESH_POINTS
from fsh.schemas.faces.mesh_triangles import TRIANGLES


def head() -> np.ndarray:
    """float64 (478, 3): the mesh's points on half an ellipsoid, as its triangles lie to each other.

    The triangles are laid out flat with every point in the middle of its neighbours (Tutte 1963),
    the outline on a circle, and then bent.
    """
    edges = np.concatenate([TRIANGLES[:, [0, 1]], TRIANGLES[:, [1, 2]], TRIANGLES[:, [2, 0]]])
    directed = {(int(a), int(b)) for a, b in edges}
    outline = {a: b for a, b in directed if (b, a) not in directed}
    ring = [10]
    while outline[ring[-1]] != ring[0]:
        ring.append(outline[ring[-1]])
    system, right = np.eye(MESH_POINTS), np.zeros((MESH_POINTS, 2))
    for a in np.unique(TRIANGLES):
        if int(a) not in ring:
            near = np.unique(
                [b for c, b in directed if c == a] + [b for b, c in directed if c == a]
            )
            system[a, near] = -1 / len(near)
    angles = np.linspace(0, 2 * np.pi, len(ring), endpoint=False)
    right[ring] = np.stack([np.sin(angles), -np.cos(angles)], 1)
    clockwise = ring.index(454) < ring.index(234)
    right[ring, 0] *= 1 if clockwise else -1
    flat = np.linalg.solve(system, right)
    depth = -np.sqrt(np.clip(1 - (flat**2).sum(1), 0, None))
    return np.column_stack([0.2 * flat[:, 0], 0.27 * flat[:, 1], 0.2 * depth])


def placed(yaw: float = 0.0, x: float = 0.5, y: float = 0.5, scale: float = 1.0) -> torch.Tensor:
    """float32 (478, 3), in shares of a crop: the head turned by degrees to the picture's right."""
    turn = np.deg2rad(yaw)
    matrix = [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    points = scale * head() @ np.array(matrix).T + np.array([x, y, 0])
    return torch.from_numpy(points).float()
