"""What the published descriptions of the hosts' APIs say of the calls that the portal makes, as facts; see `source`."""
