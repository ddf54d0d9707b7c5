"""What readers of label files have in common. All give the same values: see `labelled`."""
