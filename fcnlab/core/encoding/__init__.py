"""From a picture to its stages: a frozen encoder, and how it runs."""
