"""Data sets: what is in them, how they are read, and which images come next."""

from trfjax.data.batches import batch_indices as batch_indices
from trfjax.data.batches import load_batch as load_batch
from trfjax.data.batches import prefetch as prefetch
from trfjax.data.batches import stack as stack
from trfjax.data.contact_sheet import contact_sheet as contact_sheet
from trfjax.data.dataset import Dataset as Dataset
from trfjax.data.dataset import Example as Example
from trfjax.data.folders import load_dataset as load_dataset
from trfjax.data.images import read_image as read_image
from trfjax.data.images import read_label as read_label
from trfjax.data.images import resize as resize
from trfjax.data.labels import LabelMap as LabelMap
from trfjax.data.layouts import LAYOUTS as LAYOUTS
from trfjax.data.layouts import LabelFiles as LabelFiles
from trfjax.data.layouts import Layout as Layout
from trfjax.data.summary import Summary as Summary
from trfjax.data.summary import summarise as summarise
