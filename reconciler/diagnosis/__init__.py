"""What the answers of a tenant say of it, and of how it is spoken with: pure, for `cxroute doctor`."""
