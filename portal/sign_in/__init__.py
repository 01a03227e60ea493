"""How people come in: allauth fitted to the portal, single sign-on, the second factor, sessions."""
