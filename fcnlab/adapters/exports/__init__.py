"""Files for other tools, one format each. Equal input gives equal bytes."""
