"""Tags: whether whole images contain a class, answered, implied by labels, and suggested."""
