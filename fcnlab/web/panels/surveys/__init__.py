"""Panels of the Survey page: planning, what is done with a survey, its report."""
