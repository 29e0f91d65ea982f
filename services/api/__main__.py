"""``python -m services.api``: serve the API as the environment says."""

from services.api.serve import serve

if __name__ == "__main__":
    serve()
