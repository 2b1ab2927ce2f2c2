"""The call that every client submits: createDonor with the arguments that the workflow gives it."""

import json

FUNCTION = "createDonor"
NAME = "@NAME@"
"""Stands for the donor's name in `ARGUMENT`; each client puts a new name there for each transaction."""

ARGUMENT = json.dumps(
    {
        "donorUserName": NAME,
        "email": "ada@example.org",
        "imageKey": f"ngo-donor-images/{NAME}/0123456789abcdef0123456789abcdef.png",
        "imageHash": "d41d8cd98f00b204e9800998ecf8427e",
        "imageSha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    },
    separators=(",", ":"),
)
