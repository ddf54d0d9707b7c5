"""What labellers do: events and their effects, points in numbers, the scene they look at."""
