"""Counting objects from one point each: losses, blobs, densities, counts and how good they are."""
