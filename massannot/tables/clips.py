"""Clips: the unit of annotation, journal and failure; `clips` is published last, so a clip
seen here is complete in every other table."""

from massannot.tables._spec import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
)

SPEC = TableSpec(
    name="clips",
    version=1,
    key=("clip_id",),
    doc="One row per annotated span of a video.",
    columns=(
        Column(
            "clip_id", STRING, "blake2b-128 of (video_id, first pts, end pts, time base, sampling)."
        ),
        Column("video_id", STRING, "See videos."),
        Column("uri", STRING, "See videos."),
        Column("source_id", STRING, "The user's own id of this video or span.", nullable=True),
        Column("clip_index", INT32, "0.. within the video, in order of time."),
        Column("first_pts", INT64, "First annotated frame's pts."),
        Column("end_pts", INT64, "End of the span, exclusive, in pts."),
        Column("time_base_num", INT32, "Seconds per pts unit: numerator."),
        Column("time_base_den", INT32, "Seconds per pts unit: denominator."),
        Column("t0_s", FLOAT64, "First annotated frame, seconds after the video's first frame."),
        Column("t1_s", FLOAT64, "Last annotated frame, seconds after the video's first frame."),
        Column("sampling", STRING, "How frames were chosen: 'all' or frames a second, as in '10'."),
        Column("n_frames", INT32, "Annotated frames: the length of every per-frame list."),
        Column(
            "source_width",
            INT32,
            "Width of the display-rotated source; tables are in these pixels.",
        ),
        Column("source_height", INT32, "Height of the display-rotated source."),
        Column("working_width", INT32, "Width of the pictures the models saw."),
        Column("working_height", INT32, "Height of the pictures the models saw."),
        Column(
            "scale_type",
            STRING,
            "Of the clip's depth: metric, relative (one unknown factor), affine (unknown factor "
            "and offset of inverse depth).",
            nullable=True,
            one_of=SCALE_TYPES,
        ),
        Column(
            "camera_static",
            BOOL,
            "Tested on background points; null: too few to tell.",
            nullable=True,
        ),
        Column(
            "background_motion_px",
            FLOAT32,
            "Median displacement of background points against the first frame, source pixels.",
            nullable=True,
        ),
        Column(
            "noise_floor",
            FLOAT32,
            "Median 3D path length a second of background points, which ought to stand still, "
            "in units of scale_type.",
            nullable=True,
        ),
        Column("noise_floor_p90", FLOAT32, "90th percentile of the same.", nullable=True),
        Column("micro_batch", INT32, "Halvings of the micro-batch after out-of-memory; 0: none."),
        Column("damaged", BOOL, "The video is damaged; the frames up to the damage are annotated."),
        Column(
            "range_rel_sd",
            FLOAT32,
            "Relative standard deviation of distance that all positions of the clip share.",
            nullable=True,
        ),
        Column(
            "depth_at_edge_share",
            FLOAT32,
            "Share of the depth in the last tenth of the range that its weights were trained for; "
            "null: the range is not known.",
            nullable=True,
        ),
        Column(
            "shot",
            INT32,
            "0.. within the video: the clip lies within it, between two cuts or transitions; "
            "null: shots were not looked for.",
            nullable=True,
        ),
        Column(
            "size_scale",
            FLOAT32,
            "Factor on all depth from things of known size (--known-size); null: none.",
            nullable=True,
        ),
        Column(
            "size_scale_rel_sd",
            FLOAT32,
            "Relative standard deviation of that factor, from the things' measured sizes and the "
            "outline's pixels; the known size itself counts as exact.",
            nullable=True,
        ),
        Column(
            "active_x0",
            INT32,
            "The part of the picture between black bars, in which alone things are looked for and "
            "followed: left edge, source pixels; null: written before bars were looked for.",
            nullable=True,
        ),
        Column("active_y0", INT32, "Top edge of the same.", nullable=True),
        Column("active_x1", INT32, "Right edge, exclusive.", nullable=True),
        Column("active_y1", INT32, "Bottom edge, exclusive.", nullable=True),
        Column(
            "camera_zooms",
            BOOL,
            "Whether the focal length changes, see cameras.zooms; null: not tested, or it cannot "
            "be told.",
            nullable=True,
        ),
        Column(
            "rolling_shutter",
            BOOL,
            "See cameras.rolling_shutter; null: not tested, or it cannot be told.",
            nullable=True,
        ),
    ),
    references=(Reference(("video_id",), "videos"),),
)
