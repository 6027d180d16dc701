"""Checkpoints and MindRecord files: binary, each with a checksum."""

from damage import SEEN, all_of
from damage_bytes import BEYOND, FOREIGN, SIZE, WITHIN

BINARY = all_of(SEEN, *SIZE, *FOREIGN, *WITHIN, *BEYOND)
