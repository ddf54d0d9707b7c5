"""The web application: pages' panels, the click canvas, session state, routes."""
