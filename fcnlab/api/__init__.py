"""The REST service: the abilities of the app for scripts and other tools. Shares the services with it."""
