"""What the browser tests, the benchmarks and the screenshots share: a JupyterLab and a page of it."""
