"""Exercise compose: the counter (web and redis), the blog (wordpress and db), and a runbook."""

ORDER = ("check_counter", "check_blog", "check_life")
