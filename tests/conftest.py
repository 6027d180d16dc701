"""Set before anything imports MindSpore: see kidneyseg/__init__.py. And the options of tests/robustness."""

import kidneyseg  # noqa: F401


def pytest_addoption(parser):
    campaign = parser.getgroup("robustness")
    campaign.addoption("--inputs", type=int, metavar="N", help="damaged files to try (default: about 500)")
    campaign.addoption("--seed", type=int, default=0, metavar="N", help="of the damage (default: 0)")
    campaign.addoption("--input", metavar="NAME", help="try this damaged file only")


def pytest_terminal_summary(terminalreporter, config):
    if any("tests/robustness" in report.nodeid for report in terminalreporter.getreports("failed")):
        terminalreporter.line(
            f"robustness: seed {config.option.seed}; repeat one with "
            "`pytest tests/robustness/test_campaign.py --input NAME`"
        )
