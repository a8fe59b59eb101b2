"""nrx on the CPU beside JAX and PyTorch: `python -m benchmarks cpu`.

`workloads/` has the programs, each written for every library; `worker` runs those of one library in a process of its
own; `rounds` lets the processes take turns; `results` turns their times into ratios, and `report` writes them down.
"""
