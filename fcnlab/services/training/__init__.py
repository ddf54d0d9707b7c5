"""Training networks on projects, in worker processes."""
