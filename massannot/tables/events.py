"""Events: what happened when. Scenes write contacts, appearances and disappearances, which they
know; the annotator writes the flights that it finds."""

from massannot.tables._spec import (
    FLOAT32,
    FLOAT64,
    INT32,
    INTERVAL_BASES,
    LIFTED_SCALE_TYPES,
    STRING,
    Column,
    Reference,
    TableSpec,
    list_of,
)

VERDICTS = ("consistent with gravity", "not gravity", "cannot tell")
RULES = ("length", "short", "outline", "unit", "wide", "uncalibrated")

SPEC = TableSpec(
    name="events",
    version=1,
    key=("clip_id", "event"),
    doc="One row per event.",
    columns=(
        Column("clip_id", STRING, "The clip, see clips."),
        Column("event", INT32, "0.. within the clip, in order of time."),
        Column(
            "kind",
            STRING,
            "contact_floor, contact_wall, contact_body, appear, disappear; flight: nothing but one "
            "steady acceleration; ...",
        ),
        Column("entities", list_of(INT32), "Who takes part, see entities."),
        Column("t_s", FLOAT64, "When, or from when on, seconds after the video's first frame."),
        Column("t1_s", FLOAT64, "Until when; null: at one moment.", nullable=True),
        Column(
            "scale_type",
            STRING,
            "Unit of the acceleration: metres a second squared, or one unknown factor.",
            nullable=True,
            one_of=LIFTED_SCALE_TYPES,
        ),
        Column(
            "acceleration_x",
            FLOAT32,
            "Of a flight, in the world = the clip's first camera, right.",
            nullable=True,
        ),
        Column("acceleration_y", FLOAT32, "World, down.", nullable=True),
        Column("acceleration_z", FLOAT32, "World, forward.", nullable=True),
        Column(
            "acceleration_half_90",
            FLOAT32,
            "Half of the 90 % interval of the acceleration's length around it.",
            nullable=True,
        ),
        Column(
            "interval_basis",
            STRING,
            "Ground of the interval, see positions.",
            nullable=True,
            one_of=INTERVAL_BASES,
        ),
        Column(
            "verdict",
            STRING,
            "Whether a flight's acceleration has the length of gravity, 9.81 m/s2. Its direction "
            "is not judged: no single clip says where up is.",
            nullable=True,
            one_of=VERDICTS,
        ),
        Column(
            "rule",
            STRING,
            "Ground of the verdict. length: whether the interval holds 9.81; nobody can tell where "
            "short: the flight lasts less than 0.3 s; outline: it is cut or partly hidden, so that "
            "the body's centre is not known; unit: the scale is not metric; wide: the interval is "
            "wider than half of gravity; uncalibrated: nobody knows how far distances err.",
            nullable=True,
            one_of=RULES,
        ),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
