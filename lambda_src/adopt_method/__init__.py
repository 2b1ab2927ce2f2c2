"""The adopt-method function: makes an existing API's method run the workflow, and puts back what was there."""
