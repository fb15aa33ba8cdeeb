"""Checks that `--dedup near` leaves out the right conversations, by comparing sets of words without Retort's code.

    duplicates.py RETORT WORK [COUNT]

Writes COUNT conversations (by default 3,000) with planted copies, edits, beginnings and chains of edits, all with the
same long system prompt. No two conversations that Retort keeps may be 0.9 or more similar (Jaccard index of runs of
five words), and none may be the beginning of another. Each one that it leaves out must be 0.9 or more similar to the
kept one that the detail names, or be its beginning. This covers all pairs: two sets that are 0.9 or more similar share
one of the rarest tenth of their members.
"""

import collections
import json
import pathlib
import random
import subprocess
import sys

VOCABULARY = [f"w{number}" for number in range(4000)]
SYSTEM = " ".join(VOCABULARY[:600])
SIMILAR = 0.9


def generate(count, chance):
    """Conversations as lists of turns; most are new, the others are made of earlier ones."""
    made = []
    while len(made) < count:
        kind = chance.random()
        if kind < 0.6 or not made:
            turns = [
                [chance.choice(VOCABULARY) for _ in range(chance.randint(8, 60))]
                for _ in range(2 * chance.randint(1, 3))
            ]
        else:
            turns = [list(turn) for turn in chance.choice(made)]
            if kind < 0.7:
                turns = [[word.upper() for word in turn] for turn in turns]
            elif kind < 0.9:
                # Each changed word changes up to five shingles.
                for _ in range(chance.randint(1, 1 + sum(map(len, turns)) // 30)):
                    turn = chance.choice(turns)
                    turn[chance.randrange(len(turn))] = chance.choice(VOCABULARY)
            elif kind < 0.95 and len(turns) > 2:
                turns = turns[:-2]
            else:
                turns += [[chance.choice(VOCABULARY) for _ in range(20)] for _ in range(2)]
        made.append(turns)
    return made


def as_row(number, turns):
    said = [{"role": "system", "content": SYSTEM}]
    for place, turn in enumerate(turns):
        said.append({"role": ["user", "assistant"][place % 2], "content": "  ".join(turn)})
    return {"id": f"c{number:07}", "messages": said}


def words_of(turns):
    words = []
    for place, turn in enumerate(turns):
        words.append(("user", "assistant")[place % 2] + ":")
        words += [word.lower() for word in turn]
    return words


def shingles_of(words, numbers):
    return frozenset(numbers[tuple(words[at : at + 5])] for at in range(max(1, len(words) - 4)))


def similarity(one, other):
    both = len(one & other)
    return both / (len(one) + len(other) - both)


def similar_pairs(sets):
    """All pairs of names whose sets are similar, each once."""
    times = collections.Counter(member for one in sets.values() for member in one)
    index = collections.defaultdict(list)
    for name, one in sets.items():
        rarest = sorted(one, key=lambda member: (times[member], member))
        rarest = rarest[: len(one) - int(SIMILAR * len(one)) + 1]
        met = {other for member in rarest for other in index[member]}
        for other in met:
            if similarity(one, sets[other]) >= SIMILAR:
                yield name, other
        for member in rarest:
            index[member].append(name)


def main():
    retort, work = sys.argv[1], pathlib.Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 3000
    work.mkdir(parents=True, exist_ok=True)
    made = generate(count, random.Random(7))
    source, package = work / "in.jsonl", work / "out"
    with source.open("w") as file:
        for number, turns in enumerate(made):
            file.write(json.dumps(as_row(number, turns)) + "\n")
    how = ["--to", "retort", "--dedup", "near", "-q", "--force", "-o", package]
    subprocess.run([retort, "convert", source, *how], check=True)

    left_out = {}
    for line in (package / "rejects.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["reason"] in ("duplicate", "near-duplicate"), row
        left_out[row["conversation_id"]] = row["detail"]
    turns = {f"c{number:07}": turns for number, turns in enumerate(made)}
    numbers = collections.defaultdict(lambda: len(numbers))
    words = {name: words_of(one) for name, one in turns.items()}
    sets = {name: shingles_of(one, numbers) for name, one in words.items()}

    faults = []
    for name, detail in left_out.items():
        kept = next((word.strip("`,;:") for word in detail.split() if word.strip("`,;:") in turns), None)
        if kept is None or kept in left_out:
            faults.append(f"{name} was left out for {detail!r}, which names nothing that was kept")
            continue
        is_beginning = words[kept][: len(words[name])] == words[name]
        if not is_beginning and similarity(sets[name], sets[kept]) < SIMILAR:
            faults.append(f"{name} was left out for {kept}: {similarity(sets[name], sets[kept]):.3f}")
    kept = {name: one for name, one in sets.items() if name not in left_out}
    faults += [f"{one} and {other} were kept" for one, other in similar_pairs(kept)]
    beginnings = collections.defaultdict(list)
    for name in kept:
        for end in range(1, len(turns[name])):
            beginnings[tuple(words_of(turns[name][:end]))].append(name)
    faults += [
        f"{name} was kept, the beginning of {beginnings[tuple(words[name])][0]}"
        for name in kept
        if tuple(words[name]) in beginnings
    ]
    for fault in faults[:20]:
        print(f"FAILED: {fault}")
    print(f"{count} conversations, {len(left_out)} left out; {count - len(faults)} passed, {len(faults)} failed")
    sys.exit(bool(faults))


main()
