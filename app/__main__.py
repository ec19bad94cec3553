"""`python -m app` is `leadgate`."""

from app.cli import main

main()
