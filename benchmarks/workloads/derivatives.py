"""Beyond the gradient: a Newton step of k-means, and the Jacobian of bundle adjustment.

Next file: ../libraries.py.
"""

from typing import Any

import numpy as np

from benchmarks.workloads.workload import Array, Arrays, Workload


def clusters(xp: Any, centres: Any, v: Any, points: Any) -> Any:
    """Return the sum of squared distances to the nearest centre; `v` is the direction of the step."""
    d = points[:, None, :] - centres
    return xp.sum(xp.min(xp.sum(d * d, axis=2), axis=1))


def clusters_by_hand(centres: Array, v: Array, points: Array) -> tuple[Array, Array]:
    """Return gradient and Hessian times v: the Hessian is diagonal, twice the number of points."""
    d = points[:, None, :] - centres
    nearest = np.argmin(np.sum(d * d, axis=2), axis=1)
    mine = np.eye(len(centres), dtype=centres.dtype)[nearest]
    counts = np.sum(mine, axis=0)[:, None]
    return 2 * (counts * centres - mine.T @ points), 2 * counts * v


def projection_error(xp: Any, camera: Any, point: Any, seen: Any) -> Any:
    """Return where a camera sees a point, less where it was seen (Agarwal and others 2010).

    `camera` holds a rotation vector, a translation, focal length and two terms of radial distortion;
    a leading axis of observations goes through.
    """
    r, p, t = [
        [a[..., i] for i in range(k, k + 3)] for a, k in ((camera, 0), (point, 0), (camera, 3))
    ]
    focal, k1, k2 = [camera[..., i] for i in (6, 7, 8)]
    square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2]
    angle = xp.sqrt(square)
    cosine, sine = xp.cos(angle), xp.sin(angle) / angle
    along = (1 - cosine) / square * (r[0] * p[0] + r[1] * p[1] + r[2] * p[2])
    across = [r[i - 2] * p[i - 1] - r[i - 1] * p[i - 2] for i in range(3)]
    x, y, z = [cosine * p[i] + sine * across[i] + along * r[i] + t[i] for i in range(3)]
    x, y = x / z, y / z
    near = x * x + y * y
    scale = focal * (1 + near * (k1 + near * k2))
    return xp.stack([scale * x - seen[..., 0], scale * y - seen[..., 1]], axis=-1)


def _cross(r: Array) -> Array:
    """Return the matrices of the cross product with vectors (m, 3)."""
    x, y, z = r.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)


def jacobians_by_hand(camera: Array, point: Array, seen: Array) -> tuple[Array, Array]:
    """Return the Jacobians by camera (m, 2, 9) and by point (m, 2, 3).

    That of R(r) p by r is -R [p] (r r^T + (R^T - 1) [r]) / r^2 (Gallego and Yezzi 2015).
    """
    r, one = camera[:, :3], np.eye(3, dtype=camera.dtype)
    square = np.sum(r * r, axis=1)[:, None, None]
    angle = np.sqrt(square)
    cross = _cross(r)
    rotation = one + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / square * (cross @ cross)
    inner = r[:, :, None] * r[:, None, :] + (rotation.transpose(0, 2, 1) - one) @ cross
    by_rotation = -rotation @ _cross(point) @ inner / square

    x, y, z = ((rotation @ point[:, :, None])[:, :, 0] + camera[:, 3:6]).T
    image = np.stack([x / z, y / z], axis=1)
    focal, k1, k2 = camera[:, 6:].T
    near = np.sum(image * image, axis=1)
    scale = 1 + near * (k1 + near * k2)
    bend = (2 * focal * (k1 + 2 * near * k2))[:, None, None]
    by_image = bend * image[:, :, None] * image[:, None, :]
    by_image[:, [0, 1], [0, 1]] += (focal * scale)[:, None]
    by_place = np.empty((len(z), 2, 3), camera.dtype)  # of the image by the point before the camera
    by_place[:, :, :2] = by_image / z[:, None, None]
    by_place[:, :, 2:] = -by_place[:, :, :2] @ image[:, :, None]

    lens = np.stack([scale, focal * near, focal * near * near], axis=1)
    by_lens = image[:, :, None] * lens[:, None, :]
    by_camera = np.concatenate([by_place @ by_rotation, by_place, by_lens], axis=2)
    return by_camera, by_place @ rotation


def _clusters(rng: np.random.Generator, size: int) -> Arrays:
    centres = rng.normal(size=(10, 8))
    return centres, np.ones_like(centres), rng.normal(size=(size, 8))


def _observations(rng: np.random.Generator, size: int) -> Arrays:
    rotation = 0.5 * rng.normal(size=(size, 3))
    shift = rng.normal(size=(size, 3)) + np.array([0, 0, 10])
    lens = [1, 0.1, 0.01] + 0.01 * rng.normal(size=(size, 3))
    camera = np.concatenate([rotation, shift, lens], axis=1)
    return camera, rng.normal(size=(size, 3)), rng.normal(size=(size, 2))


WORKLOADS = (
    Workload(
        "k-means Newton step, 2,000 x 8, 10 centres",
        clusters,
        clusters_by_hand,
        data=_clusters,
        sizes=(2_000,),
        quick=20,
        kind="newton",
        lacking={"mygrad": "first derivatives only"},
    ),
    Workload(
        "bundle adjustment, 4,000 Jacobians 2 x 12",
        projection_error,
        jacobians_by_hand,
        data=_observations,
        sizes=(4_000,),
        quick=10,
        differentiated=2,
        kind="jacobian",
    ),
)
