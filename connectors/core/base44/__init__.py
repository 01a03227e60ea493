"""Base44 as the portal speaks to it: the wire contract, the client, the rate budget, and an emulator."""
