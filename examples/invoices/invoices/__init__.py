"""Invoices for work billed by the day."""
