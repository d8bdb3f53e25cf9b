"""What lies outside: files, databases, registries, code, processes. One outside system a room.

They act and decide nothing, raise our errors alone, and import no Airflow. The rooms, lowest first: `data`,
`code` and `policy`; `sql`; `sources` (one module: rows, from wherever they come); `counting`; `log`,
`registry` and `launch`. What the loop needs of a room is a Protocol in it, and one suite of tests holds
whoever keeps it. Read `registry.protocol` first, then `sources`.
"""
