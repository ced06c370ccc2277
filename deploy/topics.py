"""`python -m deploy.topics`: `ses-metrics-topics` of a checkout."""

from schemas.shared.create_topics import run

if __name__ == "__main__":
    run()
