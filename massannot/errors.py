"""The exception tree: a class decides what an error costs, a clip, the command or the run.

A `ClipError` costs one clip (a row in `failures`, the run goes on). A `UsageError` ends the command
with exit code 2 before any video is opened, a `NothingToRun` with 4. Anything else is a bug and
stops the run with its traceback. Messages name the thing, what was found, what was expected and,
when there is one, the way out.
"""


class MassannotError(Exception):
    """Base of every exception that this project raises on purpose."""


class MassannotWarning(UserWarning):
    """A setting without effect, or a result weaker than requested. Tests turn it into an error."""


class UsageError(MassannotError):
    """A command, recipe or manifest that cannot be carried out. Exit code 2."""


class BadRecipe(UsageError):
    """A pipeline in which a stage reads a table that no stage wrote, or an option without stage."""


class OtherRecipe(UsageError):
    """The output folder belongs to a run with another recipe, prompts or weights."""


class NothingToRun(MassannotError):
    """Weights, device or storage are missing, so that no clip could be annotated. Exit code 4."""


class MissingWeights(NothingToRun):
    """Weights that are neither in the cache nor in the named folder, and may not be downloaded."""


class BadTable(MassannotError):
    """A table that breaks its specification: type, null, order, NaN, dangling key."""


class NewerTable(BadTable):
    """A table written by a newer massannot than this one."""


class BadMask(MassannotError, ValueError):
    """A run-length encoding that is malformed or belongs to a picture of another size."""


class ClipError(MassannotError):
    """One clip cannot be annotated: a row in `failures`, and the run continues.

    `reason` is a short, stable word for counting (the `class` column of `failures`).
    """

    reason = "clip_error"


class BadVideo(ClipError):
    """A file that gives no frames; the subclass is the reason."""

    reason = "bad_video"


class VideoNotFound(BadVideo):
    reason = "not_found"


class ImpossibleName(BadVideo):
    """A name that no file can have: with NUL inside, too long, no valid Unicode, or an address of a
    kind that is not read, such as https."""

    reason = "impossible_name"


class NotAFile(BadVideo):
    reason = "not_a_file"


class EmptyFile(BadVideo):
    reason = "empty_file"


class NotAVideo(BadVideo):
    reason = "not_a_video"


class NoVideoStream(BadVideo):
    reason = "no_video_stream"


class NoFrames(BadVideo):
    reason = "no_frames"


class UnsupportedCodec(BadVideo):
    reason = "unsupported_codec"


class DecoderCrashed(BadVideo):
    """The decoder process died or went silent; the models stay loaded."""

    reason = "decoder_crashed"


class VideoChanged(BadVideo):
    """Size or modification time differ from what the plan recorded."""

    reason = "video_changed"


class SpanOutsideVideo(ClipError):
    reason = "span_outside_video"


class SpanWithoutShot(ClipError):
    """Every frame of the span is blank or within a transition from one shot to the next."""

    reason = "span_without_shot"


class BadQuestion(ClipError):
    reason = "bad_question"


class NotUnicode(ClipError):
    """Text that no table can hold: half a surrogate pair, or bytes that are no UTF-8."""

    reason = "not_unicode"


class BadPhrase(ClipError):
    """A phrase that no detector takes: empty, too long, with a full stop inside."""

    reason = "bad_phrase"


class ModelFailed(ClipError):
    """A model raised on this clip; the stage's name stands in the failure's row."""

    reason = "model_failed"


class OutOfMemory(ModelFailed):
    """The device has too little memory for this clip, also with half the micro-batch."""

    reason = "out_of_memory"


class BadModelOutput(ModelFailed):
    """A model answered with another shape, type or range than its protocol promises."""

    reason = "bad_model_output"


class WorkerBroke(MassannotError):
    """A bug rose in a worker process; the message holds its traceback."""
