"""fcnlab: click a few pixels, watch a network learn to segment."""
