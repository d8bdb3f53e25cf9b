"""`python -m airflow_provider_ifp`: the same as `ifp`."""

import sys

from airflow_provider_ifp.cli import main

sys.exit(main(sys.argv[1:]))
