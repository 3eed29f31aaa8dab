"""The questions: one TOML file per study."""
