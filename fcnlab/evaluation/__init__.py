"""A simulated labeller, and what learners reach with how few of its clicks."""
