"""Servers with clients and subscribers, all of them real processes."""

from system_fixtures import peer as peer
from system_fixtures import rig as rig
from system_fixtures import start_rig as start_rig
