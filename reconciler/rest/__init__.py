"""Requests to REST APIs other than CXone's: forges, Cognigy, Prometheus."""
