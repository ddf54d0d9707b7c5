"""An installation as a whole: backup, restore, diagnostics, what is left over."""
