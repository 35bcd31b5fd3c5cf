"""What every network keeps to, whatever its architecture."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.network_cases import CASES, CLASSES, build, channels, images, shape_of
from trfjax.models import abstract_model, create_model, list_models
from trfjax.state import SourceModel, apply, apply_train, taps
from trfjax.trees import flatten

CLASSIFIERS = ("lenet", "resnet18", "resnet101", "conv4")
STEPS = (  # one of each architecture; the rest differ in shapes only
    *("unet", "fcn8s", "segnet", "pspnet", "frrn_b-semseg"),
    *("bisenet", "bisenet_official", "deeplab-multi", "lenet", "resnet18", "conv4"),
)


def outputs(model, size, batch=2, ch=3, **options):
    """Return declared taps and the shapes of an output."""
    declared = {}

    def run(params, stats, x):
        values = SourceModel(params, stats, graphdef)
        declared.update(taps(values))
        asked = options.get("taps", tuple(declared))
        return vars(apply(values, x, aux=True, taps=asked))

    params, stats, graphdef = model
    x = jax.ShapeDtypeStruct((batch, *size, ch), jnp.float32)
    shapes = jax.eval_shape(run, params, stats, x)
    return declared, types.SimpleNamespace(**shapes)


@pytest.mark.parametrize("case", [case for case in CASES if "101" not in case])
def test_two_of_one_configuration_have_the_same_structure(case):
    name, config, _ = CASES[case]
    params, stats, graphdef = shape_of(case)
    other = abstract_model(name, num_classes=CLASSES, **config)
    assert graphdef == other[2] and hash(graphdef) == hash(other[2])
    assert jax.tree.structure((params, stats)) == jax.tree.structure(other[:2])


@pytest.mark.parametrize("case", CASES)
def test_output_and_declared_taps(case):
    name, _, size = CASES[case]
    declared, out = outputs(shape_of(case), size, ch=channels(case))
    assert set(out.levels) == set(declared)
    for tap, level in out.levels.items():
        assert level.shape[-1] == declared[tap].channels, tap
        if name not in ("fcn8s", "lenet") and "paper" not in case:
            cells = -(-size[0] // declared[tap].stride)
            assert abs(level.shape[1] - cells) <= 1 or "semseg" in case, tap
    if name in CLASSIFIERS:
        assert out.logits.shape == (2, CLASSES) and out.features.ndim == 2
    elif case in ("unet-paper", "unet-semseg"):
        assert out.logits.shape == (2, size[0] - 184, size[1] - 184, CLASSES)
    else:
        assert out.logits.shape == (2, *size, CLASSES)
        assert out.features.shape[:1] == (2,) and out.features.ndim == 4
        assert all(extra.shape == out.logits.shape for extra in out.aux)
    many = {"pspnet": 1, "bisenet": 2, "bisenet_official": 2}
    assert len(out.aux) == many.get(name, int(case == "deeplab-multi"))


@pytest.mark.parametrize("case", STEPS)
def test_a_training_step(case):
    """Gradients are finite and reach every weight; statistics move; dropout drops."""
    model, x, traces = build(case), images(case), []

    @jax.jit
    def step(model, x, key):
        traces.append(1)

        def loss(params):
            values = dataclasses.replace(model, params=params)
            out, stats = apply_train(values, x, aux=True, key=key)
            maps = (out.logits, *out.aux)
            weights = [jax.random.normal(jax.random.key(9), m.shape) for m in maps]
            total = sum(jnp.vdot(m, w) for m, w in zip(maps, weights, strict=True))
            return total, (stats, out.logits)

        return jax.value_and_grad(loss, has_aux=True)(model.params)

    (value, (stats, logits)), grads = step(model, x, jax.random.key(1))
    assert np.isfinite(value)
    for path, grad in flatten(grads).items():
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path
    for path, leaf in flatten(stats).items():
        assert np.abs(leaf - flatten(model.stats)[path]).max() > 0, path
    (_, (_, again)), _ = step(model, x, jax.random.key(2))
    drops = case in ("fcn8s", "pspnet")
    assert bool((logits != again).any()) == drops
    other = build(case, seed=1)
    step(other, x, jax.random.key(1))
    assert len(traces) == 1


@pytest.mark.parametrize("case", ["unet", "frrn_a", "conv4"])
def test_evaluation_repeats_and_leaves_out_what_was_not_asked_for(case):
    run = jax.jit(apply, static_argnames=("aux", "taps"))
    model, x = build(case), images(case)
    first, second = run(model, x), run(model, x)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.aux == () and first.levels == {}
    one = run(model, x[:1])
    largest = float(jnp.abs(first.logits).max())
    np.testing.assert_allclose(one.logits, first.logits[:1], atol=1e-4 * largest)


@pytest.mark.parametrize("case", ["unet", "bisenet"])
def test_low_precision_computation_stays_close(case):
    name, config, _ = CASES[case]
    model, x = build(case), images(case)
    low = create_model(name, num_classes=CLASSES, dtype="bfloat16", **config)
    leaves = jax.tree.leaves(low.params)
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    exact, rough = (jax.jit(apply)(m, x).logits for m in (model, low))
    assert rough.dtype == jnp.bfloat16
    error = np.abs(np.asarray(rough, np.float32) - exact)
    # Eight bits of fraction over a few dozen layers.
    assert error.mean() < 0.05 * np.abs(exact).mean()


SIZES = [
    ("unet", (15, 20), "at least 16", "16 x 20"),
    ("unet-paper", (360, 480), "12 modulo 16", "364 x 476"),
    ("unet-semseg", (512, 1024), "12 modulo 16", "508 x 1020"),
    ("segnet", (31, 64), "at least 32", "32 x 64"),
    ("frrn_a", (360, 480), "multiples of 16", "352 x 480"),
    ("frrn_b", (360, 480), "multiples of 32", "352 x 480"),
    ("pspnet", (7, 9), "at least 8", "8 x 9"),
    ("pspnet-101", (40, 90), "at least 41", "41 x 90"),
    ("bisenet", (7, 9), "at least 8", "8 x 9"),
    ("bisenet_official", (7, 9), "at least 8", "8 x 9"),
    ("deeplab-single", (7, 9), "at least 8", "8 x 9"),
    ("resnet18", (7, 9), "at least 8", "8 x 9"),
    ("lenet", (32, 32), "those of `input_size`", "28 x 28"),
    ("conv4", (84, 84), "those of `input_size`", "28 x 28"),
]


@pytest.mark.parametrize(("case", "size", "rule", "near"), SIZES)
def test_an_illegal_size_names_the_rule_and_the_nearest_legal_one(
    case, size, rule, near
):
    model = shape_of(case)
    with pytest.raises(ValueError, match=f"{rule}.*legal size is {near}"):
        outputs(model, size, ch=channels(case))
    legal = tuple(int(side) for side in near.split(" x "))
    outputs(model, legal, ch=channels(case))


@pytest.mark.parametrize(
    ("case", "size", "native", "logits"),
    [
        ("unet-paper", (572, 572), (388, 388), (388, 388)),
        ("unet-semseg", (508, 1020), (324, 836), (324, 836)),
        ("deeplab-single", (512, 1024), (65, 129), (512, 1024)),
        ("deeplab-single", (720, 1280), (91, 161), (720, 1280)),
        ("deeplab-multi", (360, 480), (46, 61), (360, 480)),
        ("pspnet", (473, 713), (60, 90), (473, 713)),
        ("pspnet-101", (360, 480), (45, 60), (360, 480)),
        ("bisenet", (181, 243), (23, 31), (181, 243)),
        ("bisenet_official", (181, 243), (23, 31), (181, 243)),
        ("unet", (181, 243), (181, 243), (181, 243)),
        ("unet-bilinear", (181, 243), (181, 243), (181, 243)),
        ("segnet", (181, 243), (181, 243), (181, 243)),
        ("fcn8s", (181, 243), (181, 243), (181, 243)),
        ("fcn8s", (1, 1), (1, 1), (1, 1)),
    ],
)
def test_sizes(case, size, native, logits):
    _, out = outputs(shape_of(case), size, batch=1)
    assert out.logits_native.shape == (1, *native, CLASSES)
    assert out.logits.shape == (1, *logits, CLASSES)


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match=r"unknown model 'vgg'; available: .*unet"):
        create_model("vgg", num_classes=3)
    with pytest.raises(TypeError, match=r"unet has no option \['depth'\].*variant"):
        create_model("unet", num_classes=3, depth=50)
    with pytest.raises(TypeError, match=r"frrn_a has no option \['model'\]"):
        create_model("frrn_a", num_classes=3, model="b")
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        create_model("unet", num_classes=0)
    with pytest.raises(ValueError, match="unknown variant 'valid'; available: 'same'"):
        create_model("unet", num_classes=2, variant="valid")
    with pytest.raises(ValueError, match="unknown depth 34; available: 50, 101"):
        create_model("pspnet", num_classes=2, depth=34)
    with pytest.raises(ValueError, match="unknown init 'best'; available: paper, he"):
        create_model("unet", num_classes=2, init="best")
    model = shape_of("unet")
    with pytest.raises(ValueError, match=r"height, width, 3\), got \(1, 32, 32, 4\)"):
        outputs(model, (32, 32), batch=1, ch=4)
    with pytest.raises(ValueError, match=r"unknown taps \['conv9'\].*centre, dec4"):
        outputs(model, (32, 32), taps=("conv9",))


@pytest.mark.parametrize("case", ["pspnet", "bisenet_official"])
def test_training_on_one_image_is_refused_where_a_norm_sees_one_value(case):
    params, stats, graphdef = shape_of(case)

    def run(params, stats):
        model = SourceModel(params, stats, graphdef)
        x = images(case, batch=1)
        return apply_train(model, x, key=jax.random.key(0))[1]

    with pytest.raises(ValueError, match="training needs at least 2 images"):
        jax.eval_shape(run, params, stats)


def test_every_listed_network_is_tested():
    assert {case[0] for case in CASES.values()} == set(list_models())


@pytest.mark.parametrize("init", ["torch", "he", "he_uniform", "he_fan_out", "normal"])
def test_initial_weights_by_name(init):
    model = create_model("conv4", num_classes=5, width=64, init=init)
    kernel = np.asarray(model.params["blocks"][1]["conv"]["kernel"])
    bias = np.asarray(model.params["blocks"][1]["conv"]["bias"])
    fan = 9 * 64
    deviation = {"torch": (1 / 3 / fan) ** 0.5, "normal": 0.01}.get(
        init, (2 / fan) ** 0.5
    )
    assert kernel.std() == pytest.approx(deviation, rel=0.02)
    assert abs(bias).max() <= fan**-0.5 and bool(bias.any()) == (init == "torch")
