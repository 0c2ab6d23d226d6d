"""Practice without a tenant: the simulated CXone, the sandbox and the tour."""
