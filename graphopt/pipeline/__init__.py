"""Passes, levels, plug-ins, pipelines as objects and as text, and what runs them. Importing this package imports none of it."""
