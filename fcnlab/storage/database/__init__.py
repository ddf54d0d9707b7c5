"""The database: tables, transactions, and queries, one module per aggregate."""
