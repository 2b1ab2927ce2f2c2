"""Descriptions of a deployment, made from its synthesized template alone: pictures and OpenAPI.

They say what CloudFormation will deploy, whichever program made the template.
"""

from .openapi import openapi
from .template import Template

__all__ = ["Template", "openapi"]
