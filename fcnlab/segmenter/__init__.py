"""PointSegmenter: the learner without database or browser."""
