"""The scope ledger's comparison: what the four sides say of each scope of a connector, and what follows from that."""

from connectors.core.ledger.engine import Comparer
from connectors.core.ledger.sides import Side, Sides
from connectors.core.ledger.verdicts import ScopeVerdict, Verdict, worst

__all__ = ["Comparer", "ScopeVerdict", "Side", "Sides", "Verdict", "worst"]
