"""What the experiments beyond the paper are asked to do."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class BeyondSettings:
    """Everything that fixes the numbers of these experiments, beside the paper's `Settings`.

    Args:
        hidden_layer: the layer that is broken where it is not the last.
        hidden_coverage: share of it that a circle covers, for a loss like the last layer's.
        label_counts: numbers of labelled images, beside all there are.
        pool_places: places of each shape whose circuits may train a pooled corrector.
        pool_tested: places of each shape that test it.
        pool: circuits that train a pooled corrector where their number is not the question.
        pool_sizes: their numbers where it is; at most places times shapes.
        pool_images: labelled images of each circuit, for the learning curve, beside all.
        told_pool: circuits that train a corrector which is told something, or nothing.
        told_images: numbers of reference images whose voltages a corrector is told.
        told_hidden: hidden units of the told correctors.
        decades: powers of ten over which a circuit ages.
        ages: times on the way, evenly on the logarithm.
        live: labelled images for each update of a corrector that follows.
        spares: arrays in an ensemble, the first among them.
        retrain_steps: updates of a network that is retrained.
    """

    hidden_layer: int = 2
    hidden_coverage: float = 0.5
    label_counts: tuple[int, ...] = (10, 20, 50, 100, 200)
    pool_places: int = 30
    pool_tested: int = 4
    pool: int = 30
    pool_sizes: tuple[int, ...] = (6, 12, 30, 60, 180)
    pool_images: tuple[int, ...] = (10, 50)
    told_pool: int = 60
    told_images: tuple[int, ...] = (1, 2, 5, 10)
    told_hidden: tuple[int, ...] = (14, 40)
    decades: float = 7.0
    ages: int = 11
    live: tuple[int, ...] = (1, 5, 20)
    spares: tuple[int, ...] = (3, 5)
    retrain_steps: int = 2000


BEYOND = BeyondSettings()
BEYOND_QUICK = replace(
    BEYOND,
    label_counts=(10, 50),
    pool_places=12,
    pool_tested=2,
    pool=12,
    pool_sizes=(6, 12, 60),
    pool_images=(50,),
    told_images=(1, 10),
    told_hidden=(40,),
    ages=8,
    live=(1, 5),
    spares=(3,),
)
