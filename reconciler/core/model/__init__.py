"""The values of routing: rules, live rules, changes and findings. Imports nothing of cxroute."""
