"""The target `served`: rules as the published table of a decision service (`cxroute serve --decide`)."""
