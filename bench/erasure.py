"""erasure.py RETORT CONVERSATIONS DATASETS: how long it takes to find and erase a person in a large store.

Makes a store in a temporary folder: conversations of a thousand people, and datasets of a tenth of them each. One person has a
word in everything of theirs. Says how long the search for them and the erasure take, and checks that the word is in no file of
the store afterwards, and that all other rows are as they were.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

PEOPLE = 1000
TAGS = 10
WORD = "zqkanarienvogel"
PERSON = "person-7@example.org"
COMPARED = 5


def conversations(count):
    for number in range(count):
        owner = f"person-{number % PEOPLE}@example.org"
        word = WORD if owner == PERSON else "sparrow"
        yield {
            "id": f"c{number}",
            "owner": owner,
            "title": f"{word} {number}",
            "tags": [f"t{number // PEOPLE % TAGS}"],
            "messages": [
                {"role": "user", "content": f"What is a {word}, question {number}? " + "Please tell me all of it. " * 10},
                {"role": "assistant", "content": f"A {word} is a bird. " * 20},
            ],
        }


def main():
    retort, count, datasets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        environment = {**os.environ, "RETORT_DATA": str(work / "data"), "HOME": folder}

        def run(*arguments):
            began = time.monotonic()
            done = subprocess.run([retort, *arguments], env=environment, cwd=work, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{arguments}: {done.stderr}")
            return time.monotonic() - began, done.stdout

        def rows(name):
            run("datasets", "download", name, "-q", "--force", "-o", "downloaded.zip")
            with zipfile.ZipFile(work / "downloaded.zip") as archive:
                return archive.read("conversations.jsonl").splitlines()

        with (work / "in.jsonl").open("w") as lines:
            lines.writelines(json.dumps(one) + "\n" for one in conversations(count))
        print(f"import of {count} conversations: {run('import', 'in.jsonl', '-q')[0]:.1f} s")
        (work / "in.jsonl").unlink()
        exports = sum(run("export", f"d{number}", "-q", "--tag", f"t{number % TAGS}")[0] for number in range(datasets))
        print(f"export of {datasets} datasets: {exports:.1f} s")
        before = {name: rows(name) for name in (f"d{number}" for number in range(min(COMPARED, datasets)))}
        print(f"finding the person: {run('erase', '--person', PERSON, '--dry-run')[0]:.1f} s")
        took, told = run("erase", "--person", PERSON, "--yes", "--json")
        told = json.loads(told)
        print(f"erasing {told['conversations']} conversations from {len(told['datasets'])} datasets: {took:.1f} s")
        for name, were in before.items():
            kept = [row for row in were if WORD.encode() not in row]
            if rows(name) != kept or len(kept) == len(were):
                sys.exit(f"the rows of {name} are not what they were without the person's")
        found = [path for path in (work / "data").rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]
        print(f"files with the word afterwards: {len(found)}; rows of {len(before)} datasets compared")
        return len(found) > 0


if __name__ == "__main__":
    sys.exit(main())
