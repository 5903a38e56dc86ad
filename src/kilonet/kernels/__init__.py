"""Our own kernels for the CPU: C that is compiled once on the machine it runs on."""
