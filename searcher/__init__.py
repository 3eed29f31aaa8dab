"""Which point next, where it trains, and what the answers taught us."""
