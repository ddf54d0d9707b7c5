"""Networks and models measured alike."""
