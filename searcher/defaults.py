"""Where a study is kept unless an option says otherwise: in the working folder."""

STORAGE = "sqlite:///studies.db"
TRACKING = "sqlite:///mlflow.db"
RUNS = "searcher-runs"

UI_HOST, UI_PORT = "127.0.0.1", 5000
"""Where `searcher ui` serves MLflow's pages."""
