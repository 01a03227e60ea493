"""A stand-in for Base44's connector service: for the demo, for development and for tests.

It speaks the contract of `connectors.core.base44.contract` over real HTTP, keeps its world in memory (or in one JSON
file), and never calls out. Usage: `with Emulator() as emu: client = Client(emu.url, emu.pat)`.
"""

from connectors.core.base44.emulator.emulator import Emulator

__all__ = ["Emulator"]
