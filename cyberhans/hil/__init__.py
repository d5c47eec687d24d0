"""Hardware in the loop: a pytest plugin and a suite of tests for a device and its detector (README, "Regression-test
your firmware"). Needs the extra `hil`: pip install cyberhans[hil]."""
