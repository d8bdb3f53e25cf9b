"""The policy: what one YAML file per model says, checked and frozen.

Reads mappings, never files, and is light: every Dag file imports it. Stands on `core.metrics`, whose names
and bounds a policy uses. Read `model` first; each of the file's sections is a module of its own.
"""
