"""Every address of the portal × every kind of person × own and foreign rows: who gets what."""
