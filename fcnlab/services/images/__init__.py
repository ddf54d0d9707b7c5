"""Images in, and the pictures made of them."""
