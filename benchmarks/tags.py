"""How well are tags of whole images learned from 20 tagged ones, next to a logistic regression for each tag?

    python benchmarks/tags.py --data DIR [--draws 30] [--new-tag-draws 10] [--first-seed 0] [--json out.json]

DIR/camvid holds `images/*`, `masks/<stem>.png` (uint8 class index, 255 unknown) and `list.txt`. An image has a tag if
the class covers at least 0.1 % of its labelled pixels. Images are encoded once; every method gets the same pooled
features of the same 20 images, drawn at random:

- by drive: from two of the three drives (the beginning of a file's name), scored on the whole third one, in turn;
- by stretch: from a random half of all stretches of 15 frames, scored on the other half: what a project with some
  images tagged of every drive is like. Neighbouring frames are alike, so stretches are never cut.

A second set holds fields cut in twelve (`cwfid`, weed and crop, at least 1 % of the pixels), split by photograph. Peers
are scikit-learn's logistic regression with its defaults, and on standardised features with the C that cross-validation
over the tagged images chooses. Macro average precision over the tags with both answers among the 20 and the scored
images; its difference to each peer in pairs, with a 95 % interval from drawing draws and blocks of scored images again
(stretches, photographs). The last columns are what the calibration is worth.

The second table is about a new tag: the other tags are answered in 120 images of the training half (by stretch), the
new one in 5, 10 or 20 of them, at least one of each kind; with the shared hidden layer, all learn together. Without,
the tagger sees the new tag alone. Mean over all tags that can be new. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.tagging.pooling import pooled_features
from fcnlab.core.tagging.scores import average_precision, expected_calibration_error
from fcnlab.core.tagging.tagger import fit_tagger, tag_probabilities
from fcnlab.domain.project import IGNORE, LearnerSpec
from fcnlab.evaluation.images import read_example, read_names
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder
from fcnlab.threads import wait_politely

TAGGED, MANY = 20, 120
FEW = (5, 10, 20)
LEAST_SHARE = {"camvid": 0.001, "cwfid": 0.01}
CUT = {"cwfid": (3, 4)}
"""Rows and columns that a photograph is cut into."""

STRETCH = 15
RESAMPLES = 1000
SPLITS = (("camvid", "by drive"), ("camvid", "by stretch"), ("cwfid", "by photograph"))

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TaggedSet:
    """Features (N, F), answers (N, K), and what images belong together: drives (N,) and blocks (N,)."""

    features: NDArray[np.float32]
    answers: NDArray[np.int8]
    drives: NDArray[np.str_]
    blocks: NDArray[np.str_]


@dataclass(eq=False)
class Draw:
    """Tagged and scored images, the tags that can be scored, and what each method said: (M, K)."""

    tagged: NDArray[np.int64]
    scored: NDArray[np.int64]
    tags: NDArray[np.int64]
    said: dict[str, Floats] = field(default_factory=dict)


def main() -> None:
    wait_politely()
    warnings.filterwarnings("ignore", module="sklearn")
    options = read_options()
    encoder = StageEncoder.of(load_encoder(BUNDLED_ENCODER))
    sets = {name: encoded(options.data / name, encoder) for name in LEAST_SHARE if (options.data / name).is_dir()}
    seeds = range(options.first_seed, options.first_seed + options.draws)
    results: dict[str, Any] = {"twenty": [], "new tag": []}
    print("| images, split | method | macro AP | tagger minus it, 95 % | calibration error | fit ms |")
    print("|---|---|---|---|---|---|")
    for name, split in SPLITS:
        if name in sets:
            for row in compared(sets[name], split, seeds):
                results["twenty"].append({"set": name, "split": split, **row})
                print(f"| {name}, {split} | {comparison_line(row)} |", flush=True)
    print("\n| answers of the new tag | method | AP | joint minus it, 95 % |\n|---|---|---|---|")
    if "camvid" in sets:
        for count in FEW:
            for row in new_tag(sets["camvid"], count, seeds[: options.new_tag_draws]):
                results["new tag"].append({"answers": count, **row})
                print(f"| {count} | {row['method']} | {row['ap']:.3f} | {interval_text(row)} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def encoded(folder: Path, encoder: StageEncoder) -> TaggedSet:
    """Pooled features and tags of a set, with the learner's default scales."""
    spec, rows = LearnerSpec(), CUT.get(folder.name, (1, 1))
    features, shares, names = [], [], []
    for name in read_names(folder / "list.txt"):
        example = read_example(folder, name)
        for rgb, truth in parts_of(example.rgb, example.truth, rows):
            stages = encoder.encode(np.ascontiguousarray(rgb), scales=spec.scales, position=spec.position)
            features.append(pooled_features(stages))
            counts = np.bincount(truth[truth != IGNORE], minlength=IGNORE)
            shares.append(counts / max(1, counts.sum()))
            names.append(name)
    present = np.array(shares) >= LEAST_SHARE[folder.name]
    answers = present[:, present.any(axis=0)].astype(np.int8)
    drives = np.array([name.partition("_")[0] for name in names])
    return TaggedSet(np.stack(features), answers, drives, blocks_of(names, drives, folder.name in CUT))


def parts_of(
    rgb: NDArray[np.uint8], truth: NDArray[np.uint8], rows: tuple[int, int]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    for tops, truths in zip(np.array_split(rgb, rows[0]), np.array_split(truth, rows[0]), strict=True):
        yield from zip(np.array_split(tops, rows[1], axis=1), np.array_split(truths, rows[1], axis=1), strict=True)


def blocks_of(names: list[str], drives: NDArray[np.str_], is_cut: bool) -> NDArray[np.str_]:
    """Photographs that were cut, or else stretches of frames; the list of a film is in order of time."""
    if is_cut:
        return np.array(names)
    number = np.zeros(len(names), np.int64)
    for drive in np.unique(drives):
        rows = np.flatnonzero(drives == drive)
        number[rows[np.argsort(np.array(names)[rows])]] = np.arange(len(rows)) // STRETCH
    return np.array([f"{drive} {count}" for drive, count in zip(drives, number, strict=True)])


def split_rows(images: TaggedSet, split: str, seed: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`count` images to tag and the images to score."""
    rng = np.random.default_rng(seed)
    if split == "by drive":
        drives = np.unique(images.drives)
        is_scored = images.drives == drives[seed % len(drives)]
    else:
        blocks = rng.permutation(np.unique(images.blocks))
        is_scored = np.isin(images.blocks, blocks[: len(blocks) // 2])
    tagged = np.sort(rng.choice(np.flatnonzero(~is_scored), count, replace=False))
    return tagged, np.flatnonzero(is_scored)


def has_both(answers: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(K,) tags with a yes and a no."""
    return np.asarray((answers == 1).any(axis=0) & (answers == 0).any(axis=0))


def by_tagger(features: NDArray[np.float32], answers: NDArray[np.int8], others: NDArray[np.float32]) -> Floats:
    """(M, K) probabilities of the tagger."""
    tagger = fit_tagger(features, answers, tuple(range(answers.shape[1])))
    return np.asarray(tag_probabilities(tagger, others), np.float64)


def by_default(features: NDArray[np.float32], answers: NDArray[np.int8], others: NDArray[np.float32]) -> Floats:
    """(M, K) probabilities of logistic regressions as scikit-learn makes them."""
    from sklearn.linear_model import LogisticRegression

    fitted = [LogisticRegression(max_iter=5000).fit(features, column) for column in answers.T]
    return np.stack([model.predict_proba(others)[:, 1] for model in fitted], axis=1)


def by_chosen(features: NDArray[np.float32], answers: NDArray[np.int8], others: NDArray[np.float32]) -> Floats:
    """(M, K) probabilities of logistic regressions on standardised features, C chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = []
    for column in answers.T:
        folds = min(5, int(column.sum()), int((1 - column).sum()))
        model: Any = LogisticRegression(max_iter=5000)
        if folds >= 2:
            model = LogisticRegressionCV(Cs=np.logspace(-5, 2, 8), cv=folds, scoring="neg_log_loss", max_iter=5000)
        fitted = make_pipeline(StandardScaler(), model).fit(features, column)
        columns.append(fitted.predict_proba(others)[:, 1])
    return np.stack(columns, axis=1)


METHODS: dict[str, Callable[..., Floats]] = {
    "tagger": by_tagger,
    "logistic regression, defaults": by_default,
    "logistic regression, standardised, C chosen": by_chosen,
}


def compared(images: TaggedSet, split: str, seeds: range) -> Iterator[dict[str, Any]]:
    """A row per method: macro average precision, the tagger's difference to it, calibration error, and fit time."""
    draws, times = [], {method: [] for method in METHODS}
    for seed in seeds:
        tagged, scored = split_rows(images, split, seed, TAGGED)
        tags = np.flatnonzero(has_both(images.answers[tagged]) & has_both(images.answers[scored]))
        draw = Draw(tagged, scored, tags)
        for method, predict in METHODS.items():
            if len(tags):
                begin = time.perf_counter()
                answers = images.answers[tagged][:, tags]
                draw.said[method] = predict(images.features[tagged], answers, images.features[scored])
                times[method].append(1000 * (time.perf_counter() - begin))
        draws += [draw] if len(tags) else []
    resampled = {method: macro_resampled(images, draws, method) for method in METHODS}
    for method in METHODS:
        precision = resampled[method][0]
        errors = [expected_calibration_error(draw.said[method], answers_of(images, draw)) or 0.0 for draw in draws]
        difference = resampled["tagger"] - resampled[method]
        yield {
            "method": method,
            "draws": len(draws),
            "ap": float(precision.mean()),
            **interval_of(difference, [str(images.drives[draw.scored[0]]) for draw in draws], split),
            "calibration_error": float(np.mean(errors)),
            "fit_ms": float(np.median(times[method])),
        }


def answers_of(images: TaggedSet, draw: Draw) -> NDArray[np.int8]:
    return images.answers[draw.scored][:, draw.tags]


def macro_resampled(images: TaggedSet, draws: list[Draw], method: str) -> Floats:
    """(1 + RESAMPLES, draws) macro average precision: first as it is, then with blocks of images drawn again.

    The same blocks are drawn for all methods and draws.
    """
    blocks = np.unique(images.blocks)
    rng = np.random.default_rng(0)
    often = rng.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), RESAMPLES)
    weights = np.concatenate([np.ones((1, len(blocks)), np.int64), often])
    columns = []
    for draw in draws:
        of_images = weights[:, np.searchsorted(blocks, images.blocks[draw.scored])].astype(np.float64)
        precision = average_precision(draw.said[method], answers_of(images, draw), of_images)
        columns.append(np.nanmean(np.where(np.isnan(precision).all(axis=1, keepdims=True), 0, precision), axis=1))
    return np.stack(columns, axis=1)


def interval_of(differences: Floats, drives: list[str], split: str) -> dict[str, Any]:
    """Mean difference (1 + RESAMPLES, draws) and its interval, draws drawn again (within the drive they score)."""
    rng = np.random.default_rng(1)
    groups = np.array(drives if split == "by drive" else [""] * len(drives))
    means = []
    for resample in differences[1:]:
        drawn = [
            rng.choice(rows, len(rows)) for group in np.unique(groups) for rows in [np.flatnonzero(groups == group)]
        ]
        means.append(resample[np.concatenate(drawn)].mean())
    low, high = np.quantile(means, (0.025, 0.975))
    return {"difference": float(differences[0].mean()), "low": float(low), "high": float(high)}


def new_tag(images: TaggedSet, count: int, seeds: range) -> Iterator[dict[str, Any]]:
    """A row per method: average precision of a tag answered in `count` images, mean over tags and draws."""
    scores: dict[str, list[float]] = {"tagger, all tags together": [], "tagger, the new tag alone": []}
    scores |= {method: [] for method in METHODS if method != "tagger"}
    draws: list[int] = []
    for seed in seeds:
        tagged, scored = split_rows(images, "by stretch", seed, MANY)
        for tag in np.flatnonzero(has_both(images.answers[tagged]) & has_both(images.answers[scored])):
            rng = np.random.default_rng((seed, int(tag), count))
            few = few_of_both(images.answers[tagged, tag], count, rng)
            answers = images.answers[tagged].copy()
            answers[~few, tag] = -1
            truth = images.answers[scored][:, [tag]]
            alone = images.features[tagged][few], images.answers[tagged][few][:, [tag]], images.features[scored]
            tagger = fit_tagger(images.features[tagged], answers, tuple(range(answers.shape[1])))
            said = tag_probabilities(tagger, images.features[scored])[:, [tagger.learned.index(tag)]]
            draws.append(seed)
            scores["tagger, all tags together"].append(score(np.asarray(said, np.float64), truth))
            scores["tagger, the new tag alone"].append(score(by_tagger(*alone), truth))
            for method in METHODS:
                if method != "tagger":
                    scores[method].append(score(METHODS[method](*alone), truth))
    joint = np.array(scores["tagger, all tags together"])
    for method, values in scores.items():
        per_draw = [float((joint - values)[np.array(draws) == seed].mean()) for seed in sorted(set(draws))]
        rng = np.random.default_rng(2)
        means = rng.choice(per_draw, (RESAMPLES, len(per_draw))).mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        gain = {"difference": float((joint - values).mean()), "low": float(low), "high": float(high)}
        yield {"method": method, "ap": float(np.mean(values)), **gain}


def few_of_both(column: NDArray[np.int8], count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(N,) `count` images at random, a yes and a no among them."""
    first = [rng.choice(np.flatnonzero(column == answer)) for answer in (0, 1)]
    others = rng.permutation(np.setdiff1d(np.arange(len(column)), first))[: count - 2]
    return np.isin(np.arange(len(column)), [*first, *others])


def score(said: Floats, truth: NDArray[np.int8]) -> float:
    return float(average_precision(said, truth, np.ones((1, len(truth))))[0, 0])


def comparison_line(row: dict[str, Any]) -> str:
    values = f"{row['method']} | {row['ap']:.3f} | {interval_text(row)}"
    return f"{values} | {row['calibration_error']:.3f} | {row['fit_ms']:.0f}"


def interval_text(row: dict[str, Any]) -> str:
    is_itself = row["difference"] == 0 == row["low"] == row["high"]
    return "" if is_itself else f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--new-tag-draws", type=int, default=10, help="of the second table")
    parser.add_argument("--first-seed", type=int, default=0, help="settings were chosen on draws from 1000 on")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
