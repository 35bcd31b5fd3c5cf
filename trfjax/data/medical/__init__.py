"""Medical volumes: patients as NIfTI files or folders of slices."""

from trfjax.data.medical.layouts import VOLUME_LAYOUTS as VOLUME_LAYOUTS
from trfjax.data.medical.layouts import VolumeLayout as VolumeLayout
from trfjax.data.medical.load import load_volumes as load_volumes
from trfjax.data.medical.patients import find_patients as find_patients
from trfjax.data.medical.slicing import Slicing as Slicing
from trfjax.data.medical.tasks import relation as relation
from trfjax.data.medical.tasks import union as union
from trfjax.data.medical.volume import Volume as Volume
from trfjax.data.medical.volume import read_volume as read_volume
