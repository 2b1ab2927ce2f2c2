"""Descriptions of a deployment, made from its synthesized template alone: pictures and OpenAPI.

They say what CloudFormation will deploy, whichever program made the template.
"""

from .openapi import openapi
from .pages import pages, with_pictures, write_pages
from .template import Template

__all__ = ["Template", "openapi", "pages", "with_pictures", "write_pages"]
