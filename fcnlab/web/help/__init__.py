"""Help on every page: the manuals, the installation, the look, a tour; and what to send when something fails."""
