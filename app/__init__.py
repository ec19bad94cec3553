"""Leadgate: from a web form to a lead in Vitec Connect, never lost and never twice."""

__version__ = "0.1.0"
