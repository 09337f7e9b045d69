"""Reviewed, verifiable moves of content between environments of one Django project."""

from . import managers
from .registry import register, register_model

__all__ = ["managers", "register", "register_model"]
