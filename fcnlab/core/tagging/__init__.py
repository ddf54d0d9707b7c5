"""Tags of whole images: every class is answered yes, no or unknown; features pooled over an image, and one network."""
