"""The click canvas: a Streamlit component, what it is shown and what it sends."""
