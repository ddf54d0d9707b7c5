"""Masks while somebody clicks: one compute thread, the learner of a project, the overlay store."""
