import pytest

from trfjax.models import list_models
from trfjax.models.info import model_info
from trfjax.training.zoo import RECIPES, recipe_for

CLASSIFIERS = {"conv4", "lenet", "resnet18", "resnet101"}


def test_every_segmentation_network_has_a_recipe():
    known = {entry.architecture for entry in RECIPES.values()}
    assert known == set(list_models()) - CLASSIFIERS


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_for_a_small_network_that_takes_its_images(name):
    entry = recipe_for(name)
    facts = model_info(entry.architecture, entry.size, num_classes=17, **entry.config)
    assert facts.parameters < 3_000_000
    per_step = 3 * facts.multiply_adds * entry.recipe.batch_size
    assert entry.recipe.steps * per_step < 3e12  # minutes on two cores


def test_an_unknown_recipe_names_the_known():
    with pytest.raises(
        ValueError, match=r"no recipe 'vgg'; available: bisenet, .*unet"
    ):
        recipe_for("vgg")
