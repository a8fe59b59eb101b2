"""The programs of the CPU benchmarks. A module has a function `cases`; those of small sizes are for tests."""
