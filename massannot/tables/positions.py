"""Positions: where each entity is in each frame, the visible surface and the body, and how sure.

The visible surface's centre is the component-wise median of the surface that the mask shows, in the
frame's camera. The body's centre lies behind it: it is what the outline of the whole thing says.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from massannot.tables._spec import (
    FLOAT32,
    INT32,
    INTERVAL_BASES,
    LIFTED_SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
    half_widths,
    list_of,
)

STATES = ("measured", "interpolated", "hidden", "left", "lost")
BASES = ("mask_depth", "points", "cuboid")


def _from_1(table: pa.Table) -> pa.Table:
    """Version 1 had the standard error of a median of points, which was far too small, and called
    everything that was not seen absent."""
    table = table.drop_columns(["sigma"])
    index = table.schema.get_field_index("state")
    states: Any = table["state"]
    known = pc.if_else(pc.equal(states, "absent"), "lost", states)
    return table.set_column(index, table.schema.field(index), known)


UPGRADES = {1: _from_1}

SPEC = TableSpec(
    name="positions",
    version=2,
    key=("clip_id", "entity", "frame"),
    doc="One row per entity and frame.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("entity", INT32, "See entities."),
        Column("frame", INT32, "0.. within the clip's annotated frames."),
        Column(
            "scale_type", STRING, "Unit: metres, or one unknown factor.", one_of=LIFTED_SCALE_TYPES
        ),
        Column(
            "x_cam",
            FLOAT32,
            "Centre of the visible surface, camera frame of this frame, right.",
            nullable=True,
        ),
        Column("y_cam", FLOAT32, "Camera frame, down.", nullable=True),
        Column("z_cam", FLOAT32, "Camera frame, forward.", nullable=True),
        Column(
            "x_world",
            FLOAT32,
            "World = the clip's first camera; null: the camera's pose is not known.",
            nullable=True,
        ),
        Column("y_world", FLOAT32, "World.", nullable=True),
        Column("z_world", FLOAT32, "World.", nullable=True),
        Column(
            "spread",
            FLOAT32,
            "Median distance of the surface's samples from the centre.",
            nullable=True,
        ),
        Column("n_points", INT32, "Tracked points that were measured in this frame."),
        Column(
            "state",
            STRING,
            "measured: from this frame's pixels; interpolated: seen, but without depth of its own; "
            "hidden: something is in front of it; left: outside of the picture; lost: not seen, "
            "and nobody knows why. Coordinates of what is hidden are interpolated or null, of what "
            "left or is lost null.",
            one_of=STATES,
        ),
        Column(
            "occluder",
            INT32,
            "Entity that hides it, where the state is hidden; null: what hides it has no mask, or "
            "cannot be told.",
            nullable=True,
        ),
        Column(
            "basis",
            STRING,
            "mask_depth: the depth under the mask; points: tracked points, where the mask has too "
            "little depth of its own; cuboid: given as a box in space, whose centre this is, not "
            "the visible surface's; null: nothing in this frame.",
            nullable=True,
            one_of=BASES,
        ),
        Column(
            "body_x",
            FLOAT32,
            "Centre of the body, camera frame: on the ray of the outline's centroid, half a radius "
            "behind the visible surface's centre; null: the outline is cut or partly hidden.",
            nullable=True,
        ),
        Column("body_y", FLOAT32, "Camera frame, down.", nullable=True),
        Column("body_z", FLOAT32, "Camera frame, forward.", nullable=True),
        Column(
            "size_x",
            FLOAT32,
            "Extent of the outline along the camera's x at the body's distance; null as body_x.",
            nullable=True,
        ),
        Column("size_y", FLOAT32, "Along y.", nullable=True),
        Column(
            "size_z",
            FLOAT32,
            "Along z, assumed: the diameter of a disc of the outline's area.",
            nullable=True,
        ),
        Column(
            "depth_valid_share",
            FLOAT32,
            "Share of the mask's samples with depth of one surface.",
            nullable=True,
        ),
        Column(
            "cut_share",
            FLOAT32,
            "Share of the box's outline that lies on the picture's border.",
            nullable=True,
        ),
        Column(
            "second_depth_log_ratio",
            FLOAT32,
            "Logarithm of the distance by a second depth model (--second-depth) over this one; "
            "less its middle over the clip where either has no unit of its own, or the scale came "
            "from a thing of known size.",
            nullable=True,
        ),
        Column(
            "range_rel_sd",
            FLOAT32,
            "Relative standard deviation along the ray that this frame has for itself; those that "
            "all frames of the entity and of the clip share stand in entities and clips.",
            nullable=True,
        ),
        Column(
            "cov",
            list_of(FLOAT32),
            "Covariance of the centre along the camera's axes, all terms: xx xy xz yy yz zz.",
            nullable=True,
            items=6,
        ),
        *half_widths(("x_cam", "y_cam", "z_cam")),
        Column(
            "interval_basis",
            STRING,
            "Ground of cov and the intervals. calibrated: they held the truth that often on clips "
            "whose truth was known; internal: what the clip itself shows, a lower bound; none.",
            nullable=True,
            one_of=INTERVAL_BASES,
        ),
        Column(
            "front_x",
            FLOAT32,
            "Direction in which the entity's front points, of length 1, camera frame of this "
            "frame, right; null: it has no front, or nobody knows. Rendered scenes write it.",
            nullable=True,
        ),
        Column("front_y", FLOAT32, "Camera frame, down.", nullable=True),
        Column("front_z", FLOAT32, "Camera frame, forward.", nullable=True),
    ),
    references=(
        Reference(("clip_id", "frame"), "frames"),
        Reference(("clip_id", "entity"), "entities"),
    ),
)
