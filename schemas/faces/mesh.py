"""MediaPipe's face mesh: which of its 478 points is what, and the 68 landmarks among them.

Points are x and y in pixels, pixel centres being whole numbers, and depth in the same scale,
negative towards the camera. Left and right are the picture's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Points of a mesh: 468 of the skin and 5 of either iris.
MESH_POINTS = 478
#: The centres of the irises, left and right.
IRISES = (468, 473)
#: Outer corners of the eyes, left and right.
MESH_EYE_CORNERS = (33, 263)
#: Corners of either eye, left to right, and three points of its upper and of its lower lid.
MESH_EYES = ((33, 133), (362, 263))
MESH_LIDS = (((160, 159, 158), (144, 145, 153)), ((385, 386, 387), (380, 374, 373)))
#: The tip of the chin, the foot of the nose, and the outermost points of the cheeks.
MESH_CHIN, MESH_NOSE_FOOT, MESH_CHEEKS = 152, 2, (234, 454)
#: The rims of mouth and eyes, upper and lower, point over point.
UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (*(362, 398, 384, 385, 386, 387, 388, 466, 263),),
)
LOWER_LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
    (*(362, 382, 381, 380, 374, 373, 390, 249, 263),),
)
#: How far the iris' middle lies above the line between the corners of the mean head's eye, in half
#: widths of the eye: looking straight ahead.
_LEVEL = 0.141
#: The mesh's point at each of the 68 places, in iBUG order. Of the points that are usual for a
#: place, the one nearest to dlib's on 800 frontal frames of 13 people; mirrored places have
#: mirrored points.
# fmt: off
PLACES = np.array([
    127, 234, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 454, 356,  # jaw
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,  # brows
    168, 197, 5, 4, 240, 97, 2, 326, 460,  # nose
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
])
#: Points of the right cheek and jaw that are its outline when the head turns to the right.
OUTLINE = np.array([
    249, 262, 264, 280, 288, 322, 345, 352, 356, 364, 365, 366, 367, 369, 376, 378, 379, 389, 394,
    395, 397, 400, 401, 411, 416, 425, 427, 433, 434, 435, 447,
])
# fmt: on
#: Turns, as sines, from which the far side of the jaw begins to follow the outline, and does so
#: wholly: 10 and 25 degrees.
_TURNING, _TURNED = 0.17, 0.42
#: A mean head in units of its distance of the outer corners of the eyes, from midway between them:
#: x (to the picture's right), y (down) and z (away) of points that expressions hardly move. It is
#: the mean of 676 meshes of 119 people, made symmetrical, and held as they are on average.
MEAN_HEAD = {
    6: (0.000, 0.038, -0.301),
    8: (0.000, -0.148, -0.252),
    9: (0.000, -0.249, -0.265),
    10: (0.000, -0.621, -0.186),
    21: (-0.740, -0.274, 0.308),
    33: (-0.500, 0.000, 0.000),
    54: (-0.670, -0.407, 0.172),
    67: (-0.394, -0.581, -0.095),
    93: (-0.772, 0.388, 0.611),
    103: (-0.559, -0.511, 0.030),
    109: (-0.213, -0.615, -0.168),
    127: (-0.791, 0.048, 0.561),
    133: (-0.195, 0.018, -0.061),
    151: (0.000, -0.442, -0.230),
    162: (-0.776, -0.129, 0.450),
    168: (0.000, -0.052, -0.249),
    195: (0.000, 0.186, -0.423),
    197: (0.000, 0.116, -0.359),
    234: (-0.786, 0.216, 0.609),
    251: (0.740, -0.274, 0.308),
    263: (0.500, 0.000, 0.000),
    284: (0.670, -0.407, 0.172),
    297: (0.394, -0.581, -0.095),
    323: (0.772, 0.388, 0.611),
    332: (0.559, -0.511, 0.030),
    338: (0.213, -0.615, -0.168),
    356: (0.791, 0.048, 0.561),
    362: (0.195, 0.018, -0.061),
    389: (0.776, -0.129, 0.450),
    454: (0.786, 0.216, 0.609),
}
RIGID_MESH = np.array([*MEAN_HEAD])
MEAN_RIGID = np.array([*MEAN_HEAD.values()])
# fmt: off
#: The point of the mirrored face at each point's place.
MESH_MIRROR = np.array([
    0, 1, 2, 248, 4, 5, 6, 249, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 250, 251, 252,
    253, 254, 255, 256, 257, 258, 259, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, 270,
    271, 272, 273, 274, 275, 276, 277, 278, 279, 280, 281, 282, 283, 284, 285, 286, 287, 288,
    289, 290, 291, 292, 293, 294, 295, 296, 297, 298, 299, 300, 301, 302, 303, 304, 305, 306,
    307, 308, 309, 310, 311, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 322, 323, 94,
    324, 325, 326, 327, 328, 329, 330, 331, 332, 333, 334, 335, 336, 337, 338, 339, 340, 341,
    342, 343, 344, 345, 346, 347, 348, 349, 350, 351, 352, 353, 354, 355, 356, 357, 358, 359,
    360, 361, 362, 363, 364, 365, 366, 367, 368, 369, 370, 371, 372, 373, 374, 375, 376, 377,
    378, 379, 151, 152, 380, 381, 382, 383, 384, 385, 386, 387, 388, 389, 390, 164, 391, 392,
    393, 168, 394, 395, 396, 397, 398, 399, 175, 400, 401, 402, 403, 404, 405, 406, 407, 408,
    409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 195, 419, 197, 420, 199, 200, 421, 422,
    423, 424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 435, 436, 437, 438, 439, 440,
    441, 442, 443, 444, 445, 446, 447, 448, 449, 450, 451, 452, 453, 454, 455, 456, 457, 458,
    459, 460, 461, 462, 463, 464, 465, 466, 467, 3, 7, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
    30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73,
    74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 95, 96,
    97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114,
    115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132,
    133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147, 148, 149, 150,
    153, 154, 155, 156, 157, 158, 159, 160, 161, 162, 163, 165, 166, 167, 169, 170, 171, 172,
    173, 174, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191,
    192, 193, 194, 196, 198, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213,
    214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224, 225, 226, 227, 228, 229, 230, 231,
    232, 233, 234, 235, 236, 237, 238, 239, 240, 241, 242, 243, 244, 245, 246, 247, 473, 476,
    475, 474, 477, 468, 471, 470, 469, 472,
])
# fmt: on

#: The place of the mirrored face at each of the 68 places.
LANDMARK_MIRROR = np.array([[*PLACES].index(point) for point in MESH_MIRROR[PLACES]])


def mirrored_face(points: np.ndarray, width: float) -> np.ndarray:
    """A face (478, 3) or (68, 2) as it is in the mirrored picture, ``width`` pixels wide."""
    order = MESH_MIRROR if len(points) == MESH_POINTS else LANDMARK_MIRROR
    flipped = np.array(points[order])
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped


def landmarks_of_mesh(meshes: np.ndarray) -> np.ndarray:
    """The 68 landmarks (…, 68, 2) of meshes (…, 478, 3), in the same pixels.

    They are the mesh's at :data:`PLACES`, but for the far side of a turned head's jaw: there the
    mesh's points lie inside of the face, and are moved outwards, across the head, to its outline.
    """
    points = np.ascontiguousarray(meshes[..., PLACES, :2])
    faces = zip(meshes.reshape(-1, MESH_POINTS, 3), points.reshape(-1, len(PLACES), 2), strict=True)
    for mesh, face in faces:
        if np.isfinite(mesh).all():
            _follow_outline(mesh, face)
    return points


def _follow_outline(mesh: np.ndarray, points: np.ndarray) -> None:
    """Move the far side of the jaw among the landmarks (68, 2) of a mesh (478, 3), in place."""
    rotation = place_mesh(mesh).rotation
    turn = -rotation[0, 2]
    share = np.clip((abs(turn) - _TURNING) / (_TURNED - _TURNING), 0, 1)
    if not share:
        return
    down = rotation[:2, 1] / np.linalg.norm(rotation[:2, 1])
    out = np.array([down[1], -down[0]]) * np.sign(turn)
    jaw, outline = (slice(9, 17), OUTLINE) if turn > 0 else (slice(0, 8), MESH_MIRROR[OUTLINE])
    edge = mesh[[*PLACES[jaw], PLACES[8], *outline], :2].astype(np.float64)
    height, reach = edge @ down, edge @ out
    count = jaw.stop - jaw.start
    at = height[:count, None, None]
    # The outline is the convex hull: the farthest of all lines between two points, one above.
    above, below = height[:, None], height[None, :]
    along = (at - above) / np.where(below > above, below - above, np.inf)
    crossed = reach[:, None] + along * (reach[None, :] - reach[:, None])
    crossed[(at < above) | (at > below)] = -np.inf
    farther = crossed.max(axis=(1, 2)) - reach[:count]
    points[jaw] += (share * farther)[:, None] * out


class Placement(NamedTuple):
    """Where a head is, and how it is held: ``p = scale · rotation · q + shift`` of its points q.

    Attributes:
        scale: pixels per unit of the head's own coordinates.
        rotation: (3, 3), from the head's axes to the picture's (right, down, away).
        shift: (3,), pixels.
    """

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (…, 3) in the head's own coordinates as pixels."""
        return self.scale * points @ self.rotation.T + self.shift

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """Points (…, 3) in pixels in the head's own coordinates."""
        return (points - self.shift) @ self.rotation / self.scale


def place_points(points: np.ndarray, target: np.ndarray) -> Placement:
    """The placement that takes points (P, 3) to others (P, 3), by least squares (Umeyama 1991)."""
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    a, b = points.mean(axis=0), target.mean(axis=0)
    x, y = points - a, target - b
    left, strength, right = np.linalg.svd(y.T @ x)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])  # no reflection
    rotation = (left * signs) @ right
    scale = float((strength * signs).sum() / max((x**2).sum(), 1e-12))
    return Placement(scale, rotation, b - scale * a @ rotation.T)


def place_mesh(mesh: np.ndarray) -> Placement:
    """Where the head of a mesh (478, 3) is, by its rigid points and a mean head's.

    The unit is the mean head's distance of the outer corners of the eyes, the origin lies midway
    between them.
    """
    return place_points(MEAN_RIGID, np.asarray(mesh)[RIGID_MESH])


def eye_openings(meshes: np.ndarray) -> np.ndarray:
    """How far the eyes of meshes (N, 478, 3) are open: the gap between the lids over the width.

    Returns:
        float64 (N, 2), left and right eye: about 0.3 open, below 0.12 shut.
    """
    points = np.asarray(meshes, np.float64)

    def opening(corners: tuple[int, int], lids: tuple[tuple[int, ...], tuple[int, ...]]):
        gaps = np.linalg.norm(points[:, lids[0]] - points[:, lids[1]], axis=2).mean(axis=1)
        width = np.linalg.norm(points[:, corners[0]] - points[:, corners[1]], axis=1)
        return gaps / np.maximum(width, 1e-6)

    return np.stack([opening(*eye) for eye in zip(MESH_EYES, MESH_LIDS, strict=True)], axis=1)


def gaze(meshes: np.ndarray) -> np.ndarray:
    """Where the eyes of meshes (N, 478, 3) look, as seen from the head: places of the irises.

    Returns:
        float64 (N, 2): to the picture's right and down, −1 to 1; 0 straight ahead, 1 where the
        iris' middle would be in the corner of the eye, or as far below. The mean of both eyes.
    """
    looks = np.zeros((len(meshes), 2))
    for row, mesh in enumerate(np.asarray(meshes, np.float64)):
        head = place_mesh(mesh).to_head(mesh)
        for (left, right), iris in zip(MESH_EYES, IRISES, strict=True):
            across = head[right] - head[left]
            half = np.linalg.norm(across) / 2
            away = (head[iris] - (head[left] + head[right]) / 2) / max(half, 1e-6)
            axis = across / max(2 * half, 1e-6)
            x = away @ axis
            looks[row] += x, (away - x * axis)[1] + _LEVEL
    return np.clip(looks / 2, -1, 1)
