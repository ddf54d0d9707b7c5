"""fcnlab: click a few pixels, watch a fully convolutional network learn to segment."""

from typing import TYPE_CHECKING, Any

from fcnlab.errors import FcnlabError

if TYPE_CHECKING:
    from fcnlab.segmenter import PointSegmenter

__all__ = ["FcnlabError", "PointSegmenter", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load torch only for those who ask for PointSegmenter."""
    if name == "PointSegmenter":
        from fcnlab.threads import wait_politely

        wait_politely()
        from fcnlab.segmenter import PointSegmenter

        return PointSegmenter
    raise AttributeError(f"module 'fcnlab' has no attribute {name!r}")
