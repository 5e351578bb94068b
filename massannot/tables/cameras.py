"""Cameras: the pinhole and its pose in every frame."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from massannot.tables._spec import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    ORIGINS,
    STRING,
    Column,
    Reference,
    TableSpec,
    list_of,
)

SPEC = TableSpec(
    name="cameras",
    version=1,
    key=("clip_id", "frame"),
    doc="One row per frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column("fx", FLOAT64, "Focal length in source pixels, x."),
        Column(
            "fy",
            FLOAT64,
            "Focal length in source pixels, y; differs from fx where pixels are not square.",
        ),
        Column("cx", FLOAT64, "Principal point, x, from the left edge."),
        Column("cy", FLOAT64, "Principal point, y, from the top edge."),
        Column(
            "cam_from_world",
            list_of(FLOAT64),
            "4x4 row-major rigid transform; world = the clip's first camera.",
            items=16,
        ),
        Column("intrinsics_origin", STRING, "Where fx fy cx cy come from.", one_of=ORIGINS),
        Column("pose_origin", STRING, "Where the pose comes from.", one_of=ORIGINS),
        Column(
            "depth_scale",
            FLOAT32,
            "Factor that was applied to this frame's depth; null: none fitted.",
            nullable=True,
        ),
        Column("depth_shift", FLOAT32, "Offset added after the factor.", nullable=True),
        Column(
            "pose_cov",
            list_of(FLOAT64),
            "Covariance of an estimated pose: 6x6, upper triangle row by row. Of the left "
            "perturbation (the true pose is E(w, d) cam_from_world): rotation vector w, radians, "
            "then shift d in the unit of depth, in this camera's axes. Given the scale of depth, "
            "whose relative error, clips.range_rel_sd, all shifts share. Null: not known, as "
            "where the camera was found to stand still.",
            nullable=True,
            items=21,
        ),
        Column(
            "focal_rel_sd",
            FLOAT32,
            "Standard deviation of the logarithm of fx and fy, one number for both and for the "
            "whole clip, where nobody gave the lens: estimated with the poses or by a model, or "
            "assumed. Null: given.",
            nullable=True,
        ),
        Column(
            "zooms",
            BOOL,
            "Whether the focal length changes over the clip, by a test on points of the "
            "background, one answer for the whole clip. Where it does, poses are not estimated, "
            "and fx fy are of no frame in particular. Null: not tested (poses were given, or the "
            "camera stands still), or it cannot be told.",
            nullable=True,
        ),
        Column(
            "rolling_shutter",
            BOOL,
            "Whether the rows of a picture are exposed one after another, so that what moves in it "
            "leans, by a test on points of the background, one answer for the whole clip. Poses "
            "are estimated as if they were not. Null: not tested, or it cannot be told, as of a "
            "camera that moves evenly.",
            nullable=True,
        ),
    ),
    references=(Reference(("clip_id", "frame"), "frames"),),
)


def cam_from_world(cameras: pa.Table) -> npt.NDArray[np.float64]:
    """(T, 4, 4) of one clip's rows."""
    flat = pc.list_flatten(cameras["cam_from_world"]).to_numpy(zero_copy_only=False)
    return flat.astype(np.float64).reshape(-1, 4, 4)


def known_poses(cameras: pa.Table, *, camera_static: bool | None) -> npt.NDArray[np.float64] | None:
    """cam_from_world (T, 4, 4) of one clip; None where there are no rows, or see
    `poses_are_known`."""
    if not cameras.num_rows or not poses_are_known(cameras, camera_static=camera_static):
        return None
    return cam_from_world(cameras)


def poses_are_known(cameras: pa.Table, *, camera_static: bool | None) -> bool:
    """Whether things have places in the world, of one clip: every pose was given or estimated, or
    the camera was seen to stand still. Where poses are assumed and it moved, or nobody can tell,
    or there are none, nothing has."""
    origins = cameras["pose_origin"].to_pylist()
    return camera_static is True or (bool(origins) and "assumed" not in origins)
