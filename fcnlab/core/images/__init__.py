"""Pictures, class maps, regions and the frames they are in."""
