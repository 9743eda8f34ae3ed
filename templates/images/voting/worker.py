"""Takes votes out of redis and writes them into the database; the last vote of a voter counts."""

import json
import time

import pymysql
import redis
from stores import TABLE, database, ends_when_told, queue

WRITE = "INSERT INTO votes (voter, vote) VALUES (%s, %s) ON DUPLICATE KEY UPDATE vote = %s"


def work():
    """Until redis or the database is gone. A vote that was not written goes back."""
    with database() as table, table.cursor() as cursor:
        cursor.execute(TABLE)
        waiting = queue()
        waiting.ping()
        print("connected to redis and db")
        while True:
            found = waiting.blpop("votes", timeout=1)
            if found is None:
                table.ping(reconnect=False)
                continue
            try:
                vote = json.loads(found[1])
                cursor.execute(WRITE, (vote["voter"], vote["vote"], vote["vote"]))
                print("written:", vote["vote"])
            except pymysql.Error:
                waiting.lpush("votes", found[1])
                raise


ends_when_told()
while True:
    try:
        work()
    except redis.RedisError as error:
        print("redis:", error)
    except (pymysql.Error, OSError) as error:
        print("db:", error)
    time.sleep(0.5)
