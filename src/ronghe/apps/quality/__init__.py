"""Quality: charts <- inspector, boards, classes (three ways to judge a picture) <- line (the app that uses them)."""
