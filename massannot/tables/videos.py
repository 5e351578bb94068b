"""Videos: one row per file that was opened; the key is where it lies."""

from massannot.tables._spec import (
    BOOL,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    SOURCE_KINDS,
    STRING,
    Column,
    Reference,
    TableSpec,
)

SPEC = TableSpec(
    name="videos",
    version=1,
    key=("uri",),
    doc="Every video file that was read.",
    columns=(
        Column("uri", STRING, "Where the file lies: a path or an address, as given."),
        Column(
            "video_id",
            STRING,
            "blake2b-128 (hex) of the bytes; above 64 MiB of the size and 64 spaced 1 MiB blocks.",
        ),
        Column("source_id", STRING, "The user's own id of this video.", nullable=True),
        Column("size_bytes", INT64, "Size of the file."),
        Column("container", STRING, "Container format, as the demuxer names it."),
        Column("codec", STRING, "Video codec, as the decoder names it."),
        Column(
            "pixel_format", STRING, "Pixel format of the stream, as FFmpeg names it.", nullable=True
        ),
        Column("width", INT32, "Width of the display-rotated picture in stored pixels."),
        Column("height", INT32, "Height of the display-rotated picture in stored pixels."),
        Column(
            "rotation",
            INT16,
            "Clockwise degrees applied to the stored picture for display: 0, 90, 180, 270.",
        ),
        Column(
            "sample_aspect_num", INT32, "Sample aspect ratio after rotation: width of a pixel ..."
        ),
        Column("sample_aspect_den", INT32, "... over its height; 1/1 when the file says nothing."),
        Column(
            "color_space",
            STRING,
            "Matrix used to get RGB (bt709, bt470bg, smpte170m, bt2020nc, rgb).",
        ),
        Column("color_range", STRING, "Range of the stored values.", one_of=("limited", "full")),
        Column("time_base_num", INT32, "Seconds per pts unit: numerator."),
        Column("time_base_den", INT32, "Seconds per pts unit: denominator."),
        Column("first_pts", INT64, "Presentation time of the first shown frame."),
        Column(
            "duration_s",
            FLOAT64,
            "From the first frame's presentation to the end of the last one.",
            nullable=True,
        ),
        Column(
            "n_frames",
            INT64,
            "Frames decoded; null when reading stopped before the end of the file.",
            nullable=True,
        ),
        Column(
            "variable_rate",
            BOOL,
            "Steps between frames differ by more than one pts unit.",
            nullable=True,
        ),
        Column(
            "damaged",
            BOOL,
            "Decoding stopped or skipped because of damage; the good frames were used.",
        ),
        Column(
            "license", STRING, "Licence of the video, as the manifest states it.", nullable=True
        ),
        Column(
            "same_as",
            STRING,
            "Byte copies: the lowest uri of this very video, whose clips stand for this file too; "
            "null: this is the one.",
            nullable=True,
        ),
        Column(
            "source_kind",
            STRING,
            "Where the pictures come from, as the manifest states it: a camera, a generative "
            "model, or a renderer.",
            nullable=True,
            one_of=SOURCE_KINDS,
        ),
        Column(
            "generator",
            STRING,
            "The model or renderer that made it, as the manifest states it.",
            nullable=True,
        ),
        Column(
            "split",
            STRING,
            "Of a published dataset: the side the manifest puts the video on, else by its bytes, a "
            "tenth in val; copies are on one side. null: in a run.",
            nullable=True,
            one_of=("train", "val", "test"),
        ),
    ),
    references=(Reference(("same_as",), "videos", ("uri",)),),
)
