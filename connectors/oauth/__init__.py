"""allauth's part in authorising connectors: provider classes, the trip to the provider and back."""
