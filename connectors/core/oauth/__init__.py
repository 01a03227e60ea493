"""OAuth as the portal speaks it with providers: tokens, revocation, introspection, and whose token it is."""
