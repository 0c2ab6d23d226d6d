"""cxroute on GitHub: one comment on a pull request, one issue about drift, the reviewed plan."""
