"""Policy files: from YAML on a disk to a `Policy`, every problem with its file, line and column.

Read `files` first.
"""
