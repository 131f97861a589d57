"""A jointed human figure: from the angles of its joints to their places as a camera sees them.

The body's own axes are x forward, y to its left, z along the trunk upwards; its unit is the body's height.
"""

from dataclasses import dataclass, fields

import numpy as np

_THIGH, _SHIN, _FOOT, _WAIST, _CHEST, _NECK, _UPPER_ARM, _FOREARM = (
    0.24,
    0.24,
    0.10,
    0.15,
    0.17,
    0.11,
    0.17,
    0.20,
)
_HIP_Y, _SHOULDER_Y = 0.055, 0.095

REACH = 0.95
"""No part of a body is further than this from its centre of mass, in body heights."""


_MASS = {"pelvis": 0.3, "waist": 0.12, "neck": 0.22, "head": 0.08} | {
    f"{side}_{joint}": mass for side in ("left", "right") for joint, mass in (("knee", 0.1), ("ankle", 0.04))
}
"""How the mass is shared out, roughly."""


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians: numbers, or one number a frame."""

    hip: float | np.ndarray = 0.0
    """Of the thighs, forward from standing."""
    knee: float | np.ndarray = 0.0
    toes: float | np.ndarray = 0.15
    """Of the feet, forward from the line of the shin: near 0 where pointed, a right angle standing."""
    curl: float | np.ndarray = 0.0
    """Of the trunk and head, forward."""
    left_arm: float | np.ndarray = 0.0
    """From hanging beside the trunk forward and up, pi is overhead."""
    right_arm: float | np.ndarray = 0.0
    left_elbow: float | np.ndarray = 0.0
    right_elbow: float | np.ndarray = 0.0
    spread: float | np.ndarray = 0.08
    """Of the arms, to their sides."""


def between(times: list[float], poses: list[Pose], frames: int) -> Pose:
    """Return the pose in frames 0..frames - 1 of a movement that passes `poses` at `times`, eased."""
    t = np.arange(-1, frames + 1)
    kernel = np.array([0.25, 0.5, 0.25])
    return Pose(
        **{
            angle.name: np.convolve(
                np.interp(t, times, [getattr(pose, angle.name) for pose in poses]), kernel, "valid"
            )
            for angle in fields(Pose)
        }
    )


def joints(pose: Pose) -> dict[str, np.ndarray]:
    """Return the joints of a pose in the body's axes, each (T, 3), relative to its centre of mass."""
    hip, curl = pose.hip, pose.curl
    middle = _WAIST * _ray(np.pi - curl / 2)
    neck = middle + _CHEST * _ray(np.pi - curl)
    found = {"pelvis": np.zeros_like(neck), "waist": middle, "neck": neck}
    found["head"] = neck + _NECK * _ray(np.pi - 1.3 * curl)
    found["crown"] = found["head"] + 0.03 * _ray(np.pi + 0.7 - 1.3 * curl)
    for side, y in (("left", 1), ("right", -1)):
        aside = np.array([0, y, 0])
        arm, elbow = getattr(pose, f"{side}_arm") - curl, getattr(pose, f"{side}_elbow")
        found[f"{side}_hip"] = _HIP_Y * aside + 0 * neck
        found[f"{side}_knee"] = found[f"{side}_hip"] + _THIGH * _ray(hip)
        found[f"{side}_ankle"] = found[f"{side}_knee"] + _SHIN * _ray(hip - pose.knee)
        found[f"{side}_toes"] = found[f"{side}_ankle"] + _FOOT * _ray(hip - pose.knee + pose.toes)
        found[f"{side}_shoulder"] = middle + 0.82 * (neck - middle) + _SHOULDER_Y * aside
        out = np.sin(pose.spread)[:, None] * aside
        found[f"{side}_elbow"] = found[f"{side}_shoulder"] + _UPPER_ARM * (_ray(arm) + out)
        found[f"{side}_hand"] = found[f"{side}_elbow"] + _FOREARM * (_ray(arm + elbow) - 0.6 * out)
    centre = sum(share * found[name] for name, share in _MASS.items())
    return {name: place - centre for name, place in found.items()}


def _ray(angle: np.ndarray) -> np.ndarray:
    """Return the direction (T, 3) that lies `angle` forward of straight down."""
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=-1)


def oriented(
    body: dict[str, np.ndarray], somersault_T: np.ndarray, twist_T: np.ndarray, facing: int, yaw: float
) -> dict[str, np.ndarray]:
    """Return the joints as a camera sees them: (T, 3) to the right, up, and towards the camera.

    `somersault_T` turns forward about the lateral axis, `twist_T` about the trunk. The body faces right
    (`facing` 1) or left (-1), and the camera stands `yaw` away from its side.
    """
    return {name: _seen(place, somersault_T, twist_T, facing, yaw) for name, place in body.items()}


def _seen(
    place_T3: np.ndarray, somersault_T: np.ndarray, twist_T: np.ndarray, facing: int, yaw: float
) -> np.ndarray:
    x, y, z = np.moveaxis(place_T3, -1, 0)
    x, y = x * np.cos(twist_T) - y * np.sin(twist_T), x * np.sin(twist_T) + y * np.cos(twist_T)
    x, z = (
        x * np.cos(somersault_T) + z * np.sin(somersault_T),
        z * np.cos(somersault_T) - x * np.sin(somersault_T),
    )
    right, near = facing * x, -facing * y
    return np.stack(
        [right * np.cos(yaw) + near * np.sin(yaw), z, near * np.cos(yaw) - right * np.sin(yaw)], axis=-1
    )
