"""Shows what the database holds."""

import html

import pymysql
from pages import Page, serve
from stores import OPTIONS, TABLE, database, ends_when_told


def counts():
    """Votes by option."""
    with database() as table, table.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute("SELECT vote, COUNT(*) FROM votes GROUP BY vote")
        found = dict(cursor.fetchall())
    return {key: int(found.get(key, 0)) for key in OPTIONS}


class Result(Page):
    def do_GET(self):
        try:
            votes = counts()
        except (pymysql.Error, OSError) as error:
            print("db:", error)
            self.text(f"The database does not answer: {error}", 503)
            return
        if self.path == "/json":
            self.data({"options": OPTIONS, "votes": votes})
            return
        rows = "".join(
            f"<tr><td>{html.escape(name)}<td>{votes[key]}" for key, name in OPTIONS.items()
        )
        self.page(f"{OPTIONS['a']} or {OPTIONS['b']}: the result", f"<table>{rows}</table>")


ends_when_told()
serve(Result)
