"""Property tests draw the same examples everywhere, and none is judged by its time."""

from hypothesis import settings

from tests.timm_here import let_torchvision_import

settings.register_profile("massannot", deadline=None, derandomize=True)
settings.load_profile("massannot")
let_torchvision_import()
