"""Events: what happened when, to which things, how sure, and on what ground. The annotator finds
them in masks and positions; rendered scenes write those that they know, by the same names."""

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

KINDS = (
    "appear",
    "disappear",
    "occlude",
    "leave",
    "re_enter",
    "vanish",
    "start",
    "stop",
    "flight",
    "apex",
    "landing",
    "rebound",
    "contact_begin",
    "contact_end",
    "teleport",
    "upward_acceleration",
    "weightless",
    "violation",
)
VERDICTS = ("consistent with gravity", "not gravity", "cannot tell")
OF_FLIGHTS = ("length", "short", "outline", "unit", "wide", "uncalibrated")
OF_SIGHT = ("mask", "covered", "border", "back", "no_cause")
OF_MOTION = (
    "speed",
    "turning_point",
    "velocity_jump",
    "position_jump",
    "against_gravity",
    "straight",
)
OF_SCENES = (
    "floor",
    "wall",
    "body",
    "falls_up",
    "floats",
    "vanishes",
    "teleports",
    "penetrates",
    "runs_backwards",
)
RULES = (*OF_FLIGHTS, *OF_SIGHT, *OF_MOTION, *OF_SCENES)

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
            "appear, disappear: the first frame with the entity after one without, and the "
            "reverse; occlude, leave, re_enter: behind something, out of the picture, back again; "
            "vanish: gone in full view; start, stop; flight: nothing but one steady acceleration; "
            "apex: the turning point of a flight; landing: a fall ends; rebound: the velocity is "
            "thrown back; contact_begin, contact_end; teleport: elsewhere at once; "
            "upward_acceleration: a steady one against gravity; weightless: a fall goes on in a "
            "straight line; violation: of rendered scenes, whatever its law. Written before 0.3: "
            "contact_floor, contact_wall, contact_body.",
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
            "is not judged here: no single clip says where up is.",
            nullable=True,
            one_of=VERDICTS,
        ),
        Column(
            "rule",
            STRING,
            "Of a flight the ground of the verdict. length: whether the interval holds 9.81; "
            "nobody can tell where short: the flight lasts less than 0.3 s; outline: it is cut or "
            "partly hidden, so that the body's centre is not known; unit: the scale is not metric; "
            "wide: the interval is wider than half of gravity; uncalibrated: nobody knows how far "
            "distances err. Of being seen. mask: it begins or ends; covered: another mask, or "
            "something nearer, is there; border: the mask goes on beyond the picture's border; "
            "back: it had left; no_cause: neither. Of motion. speed: of two neighbouring "
            "stretches; turning_point: of a parabola; velocity_jump, position_jump: between two "
            "parabolas; against_gravity: steady, away from the ground; straight: no acceleration "
            "after one, at the same velocity. Of rendered scenes: what is touched, or the law "
            "that is broken.",
            nullable=True,
            one_of=RULES,
        ),
        Column(
            "t_sd_s",
            FLOAT32,
            "Standard deviation of t_s; null: the time is exact, or of a flight.",
            nullable=True,
        ),
        Column(
            "score",
            FLOAT32,
            "0..1, how far the evidence exceeds its uncertainty: the probability, for normal "
            "errors as the clip itself shows them, that the deciding number is beyond its "
            "threshold. Not calibrated; null of a flight, which has a verdict.",
            nullable=True,
        ),
    ),
    references=(Reference(("clip_id",), "clips"),),
)
