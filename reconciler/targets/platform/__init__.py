"""The only package that knows HTTP and the field names of the CXone API."""
