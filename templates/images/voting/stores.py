"""Where votes are kept on their way: redis, then the database."""

import os
import signal
import socket
import sys

import pymysql
import redis

OPTIONS = {"a": os.environ.get("OPTION_A", "Cats"), "b": os.environ.get("OPTION_B", "Dogs")}
SECONDS = 3

TABLE = "CREATE TABLE IF NOT EXISTS votes (voter VARCHAR(64) PRIMARY KEY, vote CHAR(1) NOT NULL)"


def ends_when_told():
    """The first process of a container has to say itself what SIGTERM does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def address(service):
    """A swarm's tasks.NAME is a task itself and works without a virtual address, too."""
    try:
        return socket.gethostbyname(f"tasks.{service}")
    except OSError:
        return service


def queue():
    return redis.Redis(
        host=address("redis"), socket_connect_timeout=SECONDS, socket_timeout=SECONDS + 2
    )


def database():
    return pymysql.connect(
        host=address("db"),
        user=os.environ.get("DB_USER", "votes"),
        password=os.environ.get("DB_PASSWORD", ""),
        database=os.environ.get("DB_NAME", "votes"),
        connect_timeout=SECONDS,
        read_timeout=SECONDS,
        autocommit=True,
    )
