"""`fcnlab survey`: how much of the images each class covers, from pixels drawn at random."""
