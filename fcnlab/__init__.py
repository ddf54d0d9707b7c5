"""fcnlab: click a few pixels, watch a fully convolutional network learn to segment."""

from typing import TYPE_CHECKING, Any

from fcnlab.errors import FcnlabError

if TYPE_CHECKING:
    from fcnlab.segmenter.segmenter import PointSegmenter
    from fcnlab.segmenter.survey import Survey
    from fcnlab.services.labels.reading_labels import read_labels
    from fcnlab.services.predict.write_masks import write_masks

__all__ = ["FcnlabError", "PointSegmenter", "Survey", "__version__", "read_labels", "write_masks"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load heavy libraries only for those who ask for what needs them."""
    if name == "PointSegmenter":
        from fcnlab.threads import wait_politely

        wait_politely()
        from fcnlab.segmenter.segmenter import PointSegmenter

        return PointSegmenter
    if name == "Survey":
        from fcnlab.segmenter.survey import Survey

        return Survey
    if name == "read_labels":
        from fcnlab.services.labels.reading_labels import read_labels

        return read_labels
    if name == "write_masks":
        from fcnlab.services.predict.write_masks import write_masks

        return write_masks
    raise AttributeError(f"module 'fcnlab' has no attribute {name!r}")
