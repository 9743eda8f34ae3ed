"""Takes votes and puts them into redis."""

import html
import json
import secrets

import redis
from pages import Page, serve
from stores import OPTIONS, ends_when_told, queue


class Vote(Page):
    def do_GET(self):
        self.ballot()

    def do_POST(self):
        form = self.form()
        vote = form.get("vote")
        if vote not in OPTIONS:
            self.text("Vote for a or b.", 400)
            return
        voter = form.get("voter", "")[:64] or secrets.token_hex(8)
        try:
            queue().rpush("votes", json.dumps({"voter": voter, "vote": vote}))
        except redis.RedisError as error:
            print("redis:", error)
            self.text(f"redis does not take the vote: {error}", 503)
            return
        print("vote for", OPTIONS[vote])
        self.ballot(f"You have voted for {OPTIONS[vote]}.")

    def ballot(self, note=""):
        buttons = "".join(
            f"<button name='vote' value='{key}'>{html.escape(name)}</button> "
            for key, name in OPTIONS.items()
        )
        title = f"{OPTIONS['a']} or {OPTIONS['b']}?"
        self.page(title, f"<form method='post'>{buttons}</form><p>{html.escape(note)}")


ends_when_told()
serve(Vote)
