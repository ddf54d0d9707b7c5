"""Reading the label files of other tools, one format each. All give the same values: see `labelled`."""
