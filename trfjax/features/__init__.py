"""From networks and images to the rows that scores read."""

from trfjax.features.extract import extract as extract
from trfjax.features.featureset import FeatureSet as FeatureSet
from trfjax.features.pixels import draw_pixels as draw_pixels
from trfjax.features.predictor import Predictor as Predictor
from trfjax.features.predictor import as_predictor as as_predictor
from trfjax.features.preprocessing import Preprocessing as Preprocessing
from trfjax.features.published import read_published as read_published
from trfjax.features.sampling import sample_maps as sample_maps
from trfjax.features.stream import ImageRows as ImageRows
from trfjax.features.stream import stream_maps as stream_maps
