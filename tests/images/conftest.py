"""What tests of images, metrics and scores share."""

from tests.scoring import any_digest as any_digest
from tests.scoring import features as features
from tests.scoring import image_folder as image_folder
from tests.scoring import inception_file as inception_file
from tests.scoring import own_cache as own_cache
from tests.scoring import random_inception as random_inception
