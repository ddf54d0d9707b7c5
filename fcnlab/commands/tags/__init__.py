"""`fcnlab tags`: whether whole images contain a class."""
