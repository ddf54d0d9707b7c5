"""The commands of the command line. Heavy imports wait inside the functions, so that `--help` is quick."""
