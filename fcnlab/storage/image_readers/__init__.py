"""Reading image files of any kind."""
