"""Training kernels for the CPU: C code that is compiled once on each machine."""
