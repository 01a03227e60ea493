"""One verb per module. A flow takes an actor, does one thing whole, and records an event.

Client and clock come in as arguments, so that a test can bring its own.
"""
