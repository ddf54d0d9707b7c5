"""Training networks on points: objectives, batches, steps, scores."""
