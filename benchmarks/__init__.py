"""What pynet costs, measured against what it is built on.  `python -m benchmarks` lists them."""
