"""Seconds a source to rank and to fine-tune, and where they break even.

    python benchmarks/rank_vs_finetune.py --steps 60

Three sizes of network and image, 20 target and 40 source images, fresh weights, all
compiled before. To rank is one further source with the scores of `rank`. To fine-tune
is `--steps` steps of the recipe of `finetune` at the time of a step, which is measured
between two runs of different length. The published speed-up of OTCE over fine-tuning
is 67; the last column says how many steps it takes to reach that here.
"""

from __future__ import annotations

import argparse
import dataclasses
import time

from checkouts import machine

SIZES = ((4, (32, 64)), (8, (64, 128)), (16, (128, 256)))
PUBLISHED = 67


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[60])
    parser.add_argument("--large", action="store_true", help="512 x 1024 too")
    options = parser.parse_args()
    sizes = (*SIZES, (16, (512, 1024))) if options.large else SIZES
    print(machine())
    print("width, size: rank CPU s | step CPU s | ratio at steps | even at | 67x at")
    for width, size in sizes:
        rank, step = measured(width, size)
        ratios = ", ".join(f"{n}: {n * step / rank:.1f}" for n in options.steps)
        print(
            f"{width}, {size[0]} x {size[1]}: {rank:.2f} | {step:.3f} | {ratios} | "
            f"{rank / step:.0f} | {PUBLISHED * rank / step:.0f}",
            flush=True,
        )


def measured(width: int, size: tuple[int, int]) -> tuple[float, float]:
    """Return CPU seconds of a further source, and of a training step."""
    import jax

    import trfjax
    from trfjax.models import create_model
    from trfjax.state import ModelCard, TrainedModel
    from trfjax.transfer.start import FINETUNE

    def city(name: str, count: int):
        return trfjax.load_dataset(f"synthetic:{name}", size=size, count=count)

    source, target = city("arden", 40), city("kestry", 20)

    def network(seed: int) -> TrainedModel:
        card = ModelCard(
            name=f"network {seed}",
            architecture="unet",
            config={"num_classes": len(source.class_names), "width": width},
            class_names=source.class_names,
            input_size=size,
        )
        key = jax.random.key(seed)
        return TrainedModel(create_model("unet", key=key, **card.config), card)

    def ranked(seed: int) -> None:
        candidate = trfjax.Source("a", network(seed), source)
        trfjax.rank([candidate], target, progress=False)

    def tuned(steps: int) -> float:
        cpu = time.process_time()
        recipe = dataclasses.replace(FINETUNE, steps=steps)
        trfjax.finetune(network(0), target, recipe=recipe)
        return time.process_time() - cpu

    ranked(0)
    cpu = time.process_time()
    ranked(1)
    rank = time.process_time() - cpu
    tuned(1)
    few, many = 2, 8
    short = tuned(few)
    return rank, max(tuned(many) - short, 1e-9) / (many - few)


if __name__ == "__main__":
    main()
