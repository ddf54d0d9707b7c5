"""Pure computation: arrays and tensors in, arrays and tensors out."""
