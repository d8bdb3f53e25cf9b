"""Options of the whole suite; pytest takes them only from here."""


def pytest_addoption(parser):
    parser.addoption(
        "--data-sample",
        choices=["small", "full"],
        default="small",
        help="how many of 2013's flights the data pipeline's test takes: a seeded sample, or all of them",
    )
