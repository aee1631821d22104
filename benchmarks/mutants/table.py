"""The table of mutants by folder, and the list of those that survived."""

from scipy import stats


def table(results: list[dict]) -> str:
    """Return both as Markdown; a share's interval is Clopper and Pearson's, of 95 %."""
    lines = ["| folder | mutants | killed | survived | killed, % (95 %) |", "|---|---|---|---|---|"]
    folders = [result["mutation"]["path"].split("/")[1] for result in results]
    for folder in [*dict.fromkeys(sorted(folders)), "all"]:
        killed = [
            result["killed"]
            for result, its in zip(results, folders, strict=True)
            if folder in (its, "all")
        ]
        lines.append(_row(folder, sum(killed), len(killed)))
    lines += ["", "| place | change | tests | reason |", "|---|---|---|---|"]
    lines += [_survivor(result) for result in results if not result["killed"]]
    return "\n".join(lines)


def _row(folder: str, killed: int, n: int) -> str:
    low, high = stats.binomtest(killed, n).proportion_ci()
    share = f"{killed / n:.1%} ({low:.1%} to {high:.1%})"
    return f"| {folder} | {n} | {killed} | {n - killed} | {share} |"


def _survivor(result: dict) -> str:
    where, texts = result["mutation"], (result["was"], result["became"])
    was, became = (text.replace("|", "\\|") for text in texts)
    place = f"{where['path'].removeprefix('optlab/')}:{where['line']}"
    return f"| {place} | `{was}` → `{became}` | {result['tests']} | |"
