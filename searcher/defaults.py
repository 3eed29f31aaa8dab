"""Where a study is kept unless an option says otherwise: in the working folder."""

STORAGE = "sqlite:///studies.db"
TRACKING = "sqlite:///mlflow.db"
RUNS = "searcher-runs"
