"""Cover surveys: what share of all pixels is of a class, from pixels drawn at random and answered by a person."""
