"""Pure Python: files, scopes, plans, Base44's wire contract and client. Imports no Django (tests/test_architecture.py)."""
