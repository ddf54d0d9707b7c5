"""Cover surveys: planning, answering, predicting, reporting."""
